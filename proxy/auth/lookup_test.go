package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeCatalog answers auth_query, and counts the questions.
type fakeCatalog struct {
	mu     sync.Mutex
	texts  map[string]string
	err    error
	asked  map[string]int
	now    time.Time
	block  chan struct{} // nil if it answers at once
	lookup *Lookup
}

func newFakeCatalog(ttl time.Duration, texts map[string]string) *fakeCatalog {
	f := &fakeCatalog{texts: texts, asked: map[string]int{}, now: time.Unix(1000, 0)}
	f.lookup = NewLookup(f.find, ttl, f.clock)
	return f
}

func (f *fakeCatalog) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeCatalog) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeCatalog) find(_ context.Context, user string) (string, bool, error) {
	f.mu.Lock()
	f.asked[user]++
	text, found := f.texts[user]
	err, block := f.err, f.block
	f.mu.Unlock()
	if block != nil {
		<-block
	}
	return text, found, err
}

// TestLookupRemembers checks that answers are remembered for their time, and so are answers that
// there is no such user.
func TestLookupRemembers(t *testing.T) {
	f := newFakeCatalog(time.Minute, map[string]string{"vera": testVerifier, "null": ""})
	for _, user := range []string{"vera", "null", "nobody"} {
		steps := []struct {
			after time.Duration
			doubt bool
			asked int
		}{{0, false, 1}, {59 * time.Second, false, 1}, {2 * time.Second, false, 2}, {500 * time.Millisecond, true, 2},
			{time.Second, true, 3}, {0, true, 3}}
		for i, s := range steps {
			f.change(func() { f.now = f.now.Add(s.after) })
			if s.doubt {
				f.lookup.Doubt(user)
			}
			secret, err := f.lookup.Find(t.Context(), user)
			if err != nil || (secret.kind() == verified) != (user == "vera") || f.asked[user] != s.asked {
				t.Errorf("user %s, step %d: got error %v, asked %d times", user, i, err, f.asked[user])
			}
		}
	}
}

func TestLookupAsksOnce(t *testing.T) {
	f := newFakeCatalog(time.Minute, map[string]string{"vera": testVerifier})
	f.block = make(chan struct{})
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := f.lookup.Find(gone, "vera"); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that has left: got error %v", err)
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if s, err := f.lookup.Find(t.Context(), "vera"); err != nil || s.kind() != verified {
				t.Errorf("got error %v", err)
			}
		})
	}
	close(f.block)
	all.Wait()
	if f.asked["vera"] != 1 {
		t.Errorf("PostgreSQL was asked %d times", f.asked["vera"])
	}
}

// TestLookupIsBounded checks that invented users replace one another in the memory, and not real
// ones.
func TestLookupIsBounded(t *testing.T) {
	f := newFakeCatalog(time.Hour, map[string]string{"vera": testVerifier})
	f.lookup.Find(t.Context(), "vera")
	for i := range maxAnswers + 100 {
		f.lookup.remember(fmt.Sprint("invented", i), answer[Secret]{at: f.now})
	}
	if len(f.lookup.unknown) != maxAnswers || len(f.lookup.known) != 1 {
		t.Errorf("%d unknown and %d known users are remembered", len(f.lookup.unknown), len(f.lookup.known))
	}
}

func TestLookupFails(t *testing.T) {
	f := newFakeCatalog(time.Hour, map[string]string{"vera": testVerifier, "odd": "SCRAM-SHA-256$oops"})
	f.err = errors.New("the primary is away")
	policy := &Policy{Lookup: f.lookup}
	for _, user := range []string{"vera", "nobody"} {
		_, err, _, _ := converse(t, func(conn io.ReadWriter) (Grant, error) {
			return policy.Check(t.Context(), conn, Peer{Local: true, User: user})
		}, client(PlainSecret(user, "pencil")))
		if codeOf(err) != "57P03" || !strings.Contains(err.Error(), "the primary is away") {
			t.Errorf("user %s: got error %v", user, err)
		}
	}
	f.change(func() { f.err = nil })
	if _, err := f.lookup.Find(t.Context(), "vera"); err != nil {
		t.Errorf("a failure is remembered: got error %v", err)
	}
	if _, err := f.lookup.Find(t.Context(), "odd"); err == nil || strings.Contains(err.Error(), "oops") {
		t.Errorf("a broken verifier: got error %v", err)
	}
}

// TestLookupMethods checks who gets in by which method when only auth_query knows the users.
func TestLookupMethods(t *testing.T) {
	f := newFakeCatalog(time.Hour, map[string]string{"verifier": testVerifier, "hashed": "md5" + md5Hex("pencil", "hashed"),
		"plain": "pencil", "null": ""})
	for _, c := range []struct {
		method, user, password, code string
		kind                         secretKind
	}{
		{"scram-sha-256", "verifier", "pencil", "", learnt},
		{"scram-sha-256", "verifier", "wrong", "28P01", 0},
		{"scram-sha-256", "plain", "pencil", "", plain},
		{"scram-sha-256", "hashed", "pencil", "28P01", 0},
		{"scram-sha-256", "null", "pencil", "28P01", 0},
		{"scram-sha-256", "nobody", "pencil", "28P01", 0},
		{"md5", "hashed", "pencil", "", md5Hash},
		{"md5", "hashed", "wrong", "28P01", 0},
		{"md5", "verifier", "pencil", "", learnt},
		{"md5", "null", "pencil", "28P01", 0},
		{"md5", "nobody", "pencil", "28P01", 0},
		{"password", "verifier", "pencil", "", plain},
		{"password", "verifier", "wrong", "28P01", 0},
		{"password", "hashed", "pencil", "", plain},
		{"password", "nobody", "pencil", "28P01", 0}, // auth_query must know the user, so no server is asked
		{"", "verifier", "pencil", "", learnt},
		{"", "hashed", "pencil", "", md5Hash},
		{"", "nobody", "pencil", "28P01", 0},
	} {
		policy := &Policy{Lookup: f.lookup, Passwd: &Passwd{}}
		if c.method != "" {
			policy.HBA, _ = ParseHBA("local all all "+c.method, nil)
		}
		grant, err, _, _ := converse(t, func(conn io.ReadWriter) (Grant, error) {
			return policy.Check(t.Context(), conn, Peer{Local: true, User: c.user})
		}, client(PlainSecret(c.user, c.password)))
		if codeOf(err) != c.code || err == nil && (grant.Proof != Here || grant.Secret.kind() != c.kind) {
			t.Errorf("method %s, user %s, password %s: got error %v, secret of kind %v", c.method, c.user, c.password, err, grant.Secret.kind())
		}
	}
}

// TestChangedPassword checks that a changed password works at once where the answer can be compared
// again, and at the next attempt with SCRAM, of which the salt was sent already.
func TestChangedPassword(t *testing.T) {
	other := deriveVerifier("u", "eraser")
	newer := fmt.Sprintf("%s$%d:%s$%s:%s", scramName, other.iterations, b64(other.salt), b64(other.storedKey), b64(other.serverKey))
	for _, c := range []struct{ method, before, after, codes string }{
		{"md5", "md5" + md5Hex("pencil", "u"), "md5" + md5Hex("eraser", "u"), " "},
		{"password", testVerifier, newer, " "},
		{"scram-sha-256", testVerifier, newer, "28P01 "},
	} {
		f := newFakeCatalog(time.Hour, map[string]string{"u": c.before})
		f.lookup.Find(t.Context(), "u")
		f.change(func() { f.texts["u"] = c.after; f.now = f.now.Add(time.Minute) })
		hba, _ := ParseHBA("local all all "+c.method, nil)
		policy := &Policy{HBA: hba, Lookup: f.lookup}
		var codes []string
		for range 2 {
			_, err, _, _ := converse(t, func(conn io.ReadWriter) (Grant, error) {
				return policy.Check(t.Context(), conn, Peer{Local: true, User: "u"})
			}, client(PlainSecret("u", "eraser")))
			codes = append(codes, codeOf(err))
		}
		if got := strings.Join(codes, " "); got != c.codes {
			t.Errorf("method %s: got codes %q, want %q", c.method, got, c.codes)
		}
	}
}

// TestLookupForgetsAll checks that nothing known stays, and that the answer to a question that was asked before is not kept.
func TestLookupForgetsAll(t *testing.T) {
	f := newFakeCatalog(time.Hour, map[string]string{"vera": "old"})
	check := func(user string, times int) {
		t.Helper()
		if _, err := f.lookup.Find(t.Context(), user); err != nil || f.asked[user] != times {
			t.Errorf("user %s: asked %d times (error %v), want %d", user, f.asked[user], err, times)
		}
	}
	check("vera", 1)
	check("vera", 1)
	f.lookup.ForgetAll()
	check("vera", 2)
	f.block = make(chan struct{})
	slow := make(chan error, 1)
	go func() {
		_, err := f.lookup.Find(t.Context(), "otto")
		slow <- err
	}()
	for begun := false; !begun; {
		f.change(func() { begun = f.asked["otto"] == 1 })
	}
	f.lookup.ForgetAll() // the answer is still on its way
	close(f.block)
	if err := <-slow; err != nil {
		t.Error(err)
	}
	f.change(func() { f.block = nil })
	check("otto", 2)
	check("otto", 2)
}
