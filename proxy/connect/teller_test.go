package connect

import (
	"context"
	"errors"
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
		teller := func() (int, bool) { c2.absent--; return 1, c2.absent < 0 }
		conn := New(teller, teller)
		conn.Configure(&Settings{FailoverWait: c.wait})
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

// TestPatienceEnds checks that the wait ends with the log-in.
func TestPatienceEnds(t *testing.T) {
	none := func() (int, bool) { return 0, false }
	c := New(none, none)
	c.Configure(&Settings{FailoverWait: time.Hour})
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
