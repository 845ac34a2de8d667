package pool

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/wire"
)

func TestParamsRoundTrip(t *testing.T) {
	for _, params := range [][]wire.Param{
		nil,
		{{Name: "a", Value: "b"}},
		{{Name: "a", Value: ""}},
		{{Name: "", Value: "b"}},
		{{Name: "", Value: ""}},
		{{Name: "a", Value: "b"}, {Name: "c", Value: "-c x=y"}},
		{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}}, // the last one counts, so their order matters
	} {
		if got := DecodeParams(EncodeParams(params)); !slices.Equal(got, params) {
			t.Errorf("%q became %q", params, got)
		}
	}
}

// TestParamsAreCanonical checks that the same parameters in any order give the same pool, and
// others another one.
func TestParamsAreCanonical(t *testing.T) {
	params := []wire.Param{{Name: "DateStyle", Value: "ISO"}, {Name: "application_name", Value: "x"}, {Name: "TimeZone", Value: "UTC"}}
	want := EncodeParams(params)
	random := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		random.Shuffle(len(params), func(i, j int) { params[i], params[j] = params[j], params[i] })
		before := slices.Clone(params)
		if got := EncodeParams(params); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		if !slices.Equal(before, params) {
			t.Fatal("the list that was passed has changed")
		}
	}
	if EncodeParams([]wire.Param{{Name: "a", Value: "bc"}}) == EncodeParams([]wire.Param{{Name: "ab", Value: "c"}}) {
		t.Error("two targets have the same key")
	}
}

// FuzzParams checks that no two different lists are encoded alike, and that decoding never panics.
func FuzzParams(f *testing.F) {
	f.Add("a", "b", "c", "d")
	f.Add("", "", "a", "")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		DecodeParams(a)
		if strings.Contains(a+b+c+d, "\x00") {
			return // the protocol cannot have this
		}
		params := []wire.Param{{Name: a, Value: b}, {Name: c, Value: d}}
		if c < a {
			params[0], params[1] = params[1], params[0]
		}
		if got := DecodeParams(EncodeParams([]wire.Param{{Name: a, Value: b}, {Name: c, Value: d}})); !slices.Equal(got, params) {
			t.Fatalf("%q became %q", params, got)
		}
	})
}
