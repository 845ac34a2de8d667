package worker

import (
	"testing"
	"time"

	"pgherd/proxy/wire"
)

// TestAlarmsOfEndedSessions checks that a session that has ended is not kept until its deadline.
func TestAlarmsOfEndedSessions(t *testing.T) {
	y := newYard(t, 1, 1, func(s *Settings) { s.Session.ClientIdle = 24 * time.Hour })
	w := y.workers.all[0]
	for range 20 {
		peer := y.guest(0)
		if len(w.tasks) != 1 || len(w.alarms) != 1 {
			t.Fatalf("got %d sessions and %d alarms before their end", len(w.tasks), len(w.alarms))
		}
		_, _ = peer.Write(wire.AppendTerminate(nil))
		y.until("the session has ended", func() bool { return len(w.tasks) == 0 })
	}
	if len(w.alarms) > 0 {
		t.Errorf("%d alarms keep sessions that have ended, want none", len(w.alarms))
	}
}
