package connect

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"pgherd/proxy/certs"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
	"pgherd/proxy/wire/wiretest"
)

// TestPatience checks that a question about a user waits for a node that answers, if another one may take the place of a
// lost primary, and that no answer is asked for twice.
func TestPatience(t *testing.T) {
	fault := func(code string) error { return &wire.Fault{Severity: "FATAL", Code: code} }
	for name, c := range map[string]struct {
		wait    time.Duration
		absent  int // how often there is nobody to ask
		answers []error
		want    error
	}{
		"an answer":                    {time.Minute, 0, []error{nil}, nil},
		"a refusal":                    {time.Minute, 0, []error{fault("28P01")}, fault("28P01")},
		"nobody at first":              {time.Minute, 2, []error{nil}, nil},
		"one is lost, the next starts": {time.Minute, 0, []error{fault("08001"), fault("57P03"), nil}, nil},
		"nobody, without failover":     {0, 1, nil, errNoTeller},
		"lost, without failover":       {0, 0, []error{fault("08006")}, fault("08006")},
		"nobody in time":               {time.Nanosecond, 1, nil, errNoTeller},
	} {
		c2, asked := c, 0
		conn := New(nil, func() []int {
			if c2.absent--; c2.absent < 0 {
				return []int{1}
			}
			return nil
		}, func() time.Duration { return c.wait })
		err := conn.patiently(t.Context(), func(node int) error {
			if asked++; node != 1 {
				t.Errorf("%s: node %d is asked", name, node)
			}
			return c.answers[asked-1]
		})
		code, _ := faultOf(err)
		want, _ := faultOf(c.want)
		if code != want || asked != len(c.answers) {
			t.Errorf("%s: got error %v after %d questions, want %v after %d", name, err, asked, c.want, len(c.answers))
		}
	}
}

// TestNextTeller checks that another teller is asked only if the first one lets nobody ask it.
func TestNextTeller(t *testing.T) {
	fault := func(code string) error { return &wire.Fault{Severity: "FATAL", Code: code} }
	for name, c := range map[string]struct {
		answers []error // of the tellers that are asked, in order
		want    error
	}{
		"the first answers":               {[]error{nil}, nil},
		"the first refuses the password":  {[]error{fault("28P01")}, fault("28P01")},
		"the first has no connection":     {[]error{fault("53300"), nil}, nil},
		"the first has no pg_hba line":    {[]error{fault("28000"), nil}, nil},
		"the second has none either":      {[]error{fault("53300"), fault("28000"), nil}, nil},
		"the second refuses the password": {[]error{fault("53300"), fault("28P01")}, fault("28P01")},
		"the others are lost":             {[]error{fault("53300"), fault("08001"), fault("57P03")}, fault("53300")},
	} {
		conn, asked := New(nil, func() []int { return []int{2, 5, 1} }, hurried), []int(nil)
		conn.Configure(&Settings{})
		err := conn.patiently(t.Context(), func(node int) error {
			asked = append(asked, node)
			return c.answers[len(asked)-1]
		})
		code, _ := faultOf(err)
		want, _ := faultOf(c.want)
		if code != want || !slices.Equal(asked, []int{2, 5, 1}[:len(c.answers)]) {
			t.Errorf("%s: got error %v after asking %d, want %v after %d", name, err, asked, c.want, len(c.answers))
		}
	}
}

// TestPatienceEnds checks that the wait ends with the log-in.
func TestPatienceEnds(t *testing.T) {
	c := New(nil, func() []int { return nil }, func() time.Duration { return time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Hear(ctx, pool.Target{}, nil); !errors.Is(err, error(errNoTeller)) {
		t.Errorf("got error %v", err)
	}
}

// TestHear checks that the teller is asked at log-ins where there is no primary, and nobody in place of the primary otherwise.
func TestHear(t *testing.T) {
	server := wiretest.Listen(t, wiretest.Must(t, "C: StartupMessage 3.0 user=alice database=app\nS: ErrorResponse FATAL 28P01 no\nC: close"))
	c := testConnector(t, server.Addr(), certs.Disable)
	c.primary = func() (int, bool) { return 0, false }
	if code, _ := faultOf(c.Judge(t.Context(), appKey.Target(), aliceSecret)); code != "57P03" {
		t.Errorf("got code %q of a standby that was asked in place of the primary", code)
	}
	if code, _ := faultOf(c.Hear(t.Context(), appKey.Target(), aliceSecret)); code != "28P01" {
		t.Errorf("got code %q for a teller that refuses", code)
	}
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
}

// hurried waits for nobody.
func hurried() time.Duration { return 0 }
