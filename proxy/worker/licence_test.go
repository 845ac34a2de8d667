package worker

import (
	"testing"
	"time"
)

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
