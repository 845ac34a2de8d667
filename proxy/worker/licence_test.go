package worker

import (
	"testing"
	"time"
)

// TestGapsWithoutALicence checks that what is said of log-ins without a licence counts as said in a gap, and that the primary is
// asked anew once there is a licence again.
func TestGapsWithoutALicence(t *testing.T) {
	y := newYard(t, 1, 1)
	ws, doubted := y.workers, 0
	ws.all[0].env.Doubted = func() { doubted++ }
	ws.started.Store(true)
	expect := func(moment string, odd bool, doubts int) uint64 {
		gaps := ws.Gaps()
		if (gaps%2 == 1) != odd || doubted != doubts {
			t.Errorf("%s: %d gaps, forgotten %d times; want a gap: %v, and %d times", moment, gaps, doubted, odd, doubts)
		}
		return gaps
	}
	ws.License(time.Second)
	y.boot = time.Second - 1
	licensed := expect("under the licence", false, 0)
	ws.License(2 * time.Second)
	if renewed := expect("renewed in time", false, 0); renewed != licensed {
		t.Errorf("%d gaps after a renewal in time, want %d", renewed, licensed)
	}
	y.boot = 2 * time.Second
	over := expect("when it is over", true, 0)
	ws.License(3 * time.Second)
	if back := expect("when there is one again", false, 1); back == licensed || back == over {
		t.Errorf("%d gaps after one without a licence, want another number than %d and %d", back, licensed, over)
	}
	ws.gap(true)
	y.boot = 3 * time.Second
	expect("without a primary and a licence", true, 1)
}

// TestLicence checks that a client's write waits from the moment at which the licence ends, by CLOCK_BOOTTIME, and goes on when
// it is renewed, without anything else waking the worker.
func TestLicence(t *testing.T) {
	y := newYard(t, 1, 2, func(s *Settings) {
		s.Session.FailoverWait, s.Session.Statements, s.Session.Catalogs = time.Hour, simStatements{}, simCatalogs()
	})
	y.workers.started.Store(true)
	y.workers.License(time.Second)
	y.boot = time.Second - 1
	y.hurried(0)
	y.until("the client comes", func() bool { return y.tasks() == 1 })
	y.until("the client is served under the licence", func() bool { return y.tasks() == 0 })
	opened := len(y.servers)
	y.boot = time.Second
	y.hurried(1)
	y.until("another client comes", func() bool { return y.tasks() == 1 })
	y.later(time.Minute)
	if y.tasks() != 1 || len(y.servers) != opened {
		t.Fatalf("without a licence %d clients wait, and %d servers were opened, want 1 and none", y.tasks(), len(y.servers)-opened)
	}
	y.workers.License(2 * time.Second)
	if y.workers.all[1].patience() != 0 {
		t.Error("the renewal does not wake the worker")
	}
	y.until("the client is served under the next licence", func() bool { return y.tasks() == 0 })
	y.boot = 2 * time.Second
	y.turns(1)
	y.workers.License(Forever)
	y.turns(1)
	for _, w := range y.workers.all {
		if w.unlicensed {
			t.Errorf("worker %d has no licence, though it has one that does not end", w.index)
		}
	}
}
