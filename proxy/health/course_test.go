package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
)

var (
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	errSilent  = fmt.Errorf("ask: %w", context.DeadlineExceeded)
)

// probed runs a test, in a time of its own, on the prober of one node. asked returns the moments at
// which the node was asked, counted from the start.
func probed(t *testing.T, test func(t *testing.T, p *Prober, a *answers, asked func() []time.Duration, last func() Seen)) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		a := &answers{found: found("0 primary 5 t1 s7"), errs: map[int]error{}}
		var lock sync.Mutex // guards what follows
		var at []time.Duration
		var seen []Seen
		locked := func(f func()) { lock.Lock(); defer lock.Unlock(); f() }
		p := New(slog.New(slog.DiscardHandler), time.Now, func(all []Seen) { locked(func() { seen = all }) })
		defer p.Close()
		probe := func(ctx context.Context, n *nodes.Node) (Finding, error) {
			locked(func() { at = append(at, time.Since(began)) })
			return a.probe(ctx, n)
		}
		p.Configure(&Settings{Nodes: asked("a"), Period: 10 * time.Second, Retry: 2 * time.Second, Timeout: time.Second, Probe: probe})
		test(t, p, a, func() (moments []time.Duration) {
			synctest.Wait()
			locked(func() { moments = slices.Clone(at) })
			return moments
		}, func() (now Seen) {
			synctest.Wait()
			locked(func() { now = seen[0] })
			return now
		})
	})
}

// TestPauses checks that a node that answers is asked each period, and one that does not sooner.
func TestPauses(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want []time.Duration // pauses between questions
	}{
		"an answer":     {nil, []time.Duration{10 * time.Second, 10 * time.Second}},
		"a refusal":     {errRefused, []time.Duration{refusedAgain, downEvery, downEvery}},
		"no answer":     {errSilent, []time.Duration{2 * time.Second, 2 * time.Second}},
		"another error": {errors.New("unexpected EOF"), []time.Duration{downEvery, downEvery}},
	} {
		t.Run(name, func(t *testing.T) {
			probed(t, func(t *testing.T, _ *Prober, a *answers, asked func() []time.Duration, _ func() Seen) {
				a.set(func() { a.errs[0] = c.err })
				time.Sleep(50 * time.Second)
				moments := asked()[1:] // the first probe found the node well
				for i, want := range c.want {
					if got := moments[i+1] - moments[i]; got < want || got > want+2*leastPause {
						t.Errorf("pause %d: got %v, want %v", i, got, want)
					}
				}
			})
		})
	}
}

// TestSuspect checks that after a suspicion the node is asked at once, and that a thousand suspicions make one question.
func TestSuspect(t *testing.T) {
	probed(t, func(t *testing.T, p *Prober, a *answers, asked func() []time.Duration, last func() Seen) {
		time.Sleep(time.Second)
		a.set(func() { a.errs[0] = errRefused })
		before := len(asked())
		for range 1000 {
			p.Suspect(0, false)
		}
		p.Suspect(5, false) // this node does not exist
		if now := asked(); len(now) != before+1 || now[before] != time.Second {
			t.Fatalf("the node was asked at %v, want once more, at once", now)
		}
		time.Sleep(refusedAgain + 2*leastPause)
		if c := last().Course; c.Verdict != failover.Refused || c.Times != 2 || c.Shutdown {
			t.Errorf("the course is %+v, want two refusals and no shutdown", c)
		}
		if s := last(); s.Reachable || s.Last.System != 7 || s.LSN != 5 {
			t.Errorf("what it said last is forgotten: %+v", s.Finding)
		}
	})
}

// TestShutdown checks that a shutdown that clients were told of is remembered until the node answers.
func TestShutdown(t *testing.T) {
	probed(t, func(t *testing.T, p *Prober, a *answers, _ func() []time.Duration, last func() Seen) {
		a.set(func() { a.errs[0] = errRefused })
		p.Suspect(0, true)
		time.Sleep(time.Minute)
		if c := last().Course; !c.Shutdown || c.Verdict != failover.Refused {
			t.Errorf("the course is %+v, want refusals and a shutdown", c)
		}
		a.set(func() { a.errs[0] = nil })
		time.Sleep(time.Minute)
		if c := last().Course; c.Shutdown || c.Verdict != failover.IsPrimary || c.Times < 2 {
			t.Errorf("the course is %+v, want answers of a primary and no shutdown", c)
		}
	})
}
