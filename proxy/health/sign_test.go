package health

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestSignsWakeTheProbe of a node that answers, with pauses between, and change nothing for one
// that is silent: it is asked when that is due.
func TestSignsWakeTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{found: found("0 primary 5")}
		p := New(slog.New(slog.DiscardHandler), time.Now, func([]Seen) {})
		defer p.Close()
		p.Configure(&Settings{Nodes: asked("a"), Period: time.Hour, Retry: time.Hour, Timeout: time.Minute, Probe: a.probe})
		count := func() (n int) {
			synctest.Wait()
			a.set(func() { n = a.asked[0] })
			return n
		}
		signs := func() {
			for range 100 {
				p.Sign(0)
				p.Sign(7) // there is no such node
				time.Sleep(signPause / 10)
			}
		}
		time.Sleep(time.Minute)
		first := count()
		p.Sign(0)
		if n := count(); n != first+1 {
			t.Errorf("after a sign it was asked %d times, %d before", n, first)
		}
		signs()
		if n := count() - first - 1; n < 9 || n > 11 {
			t.Errorf("in ten pauses it was asked %d times", n)
		}
		time.Sleep(time.Minute)
		a.set(func() { a.errs = map[int]error{0: context.DeadlineExceeded} })
		p.Sign(0)
		silent := count()
		signs()
		if n := count(); n != silent {
			t.Errorf("while it is silent it was asked %d times more", n-silent)
		}
		p.Suspect(0, false)
		if n := count(); n != silent+1 {
			t.Errorf("once somebody suspects it it was asked %d times more", n-silent)
		}
	})
}

// TestTellingBlocks checks that who suspects a node never waits for who is told of the nodes:
// the supervisor may wait for a disk, and a worker may not.
func TestTellingBlocks(t *testing.T) {
	a := &answers{found: found("0 primary 5")}
	telling, done := make(chan struct{}), make(chan struct{})
	disk := make(chan struct{})
	p := New(slog.New(slog.DiscardHandler), func() time.Time { return start }, func([]Seen) {
		select {
		case telling <- struct{}{}:
			<-disk
		case <-disk:
		}
	})
	t.Cleanup(p.Close)
	var configuring sync.WaitGroup
	t.Cleanup(configuring.Wait)
	t.Cleanup(func() { close(disk) })
	configuring.Go(func() {
		p.Configure(&Settings{Nodes: asked("a"), Period: time.Hour, Timeout: patience, Probe: a.probe})
	})
	<-telling
	go func() {
		p.Suspect(0, true)
		p.Sign(0)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("who suspects a node waits for who is told")
	}
}
