package worker

import (
	"testing"
	"time"

	"pgherd/proxy/wire"
)

// TestAlarmsOfEndedSessions: a long deadline does not keep a session that is over.
func TestAlarmsOfEndedSessions(t *testing.T) {
	y := newYard(t, 1, 1, func(s *Settings) { s.Session.ClientIdle = 24 * time.Hour })
	w := y.workers.all[0]
	for range 20 {
		peer := y.guest(0)
		if len(w.tasks) != 1 || len(w.alarms) != 1 {
			t.Fatalf("%d sessions, %d alarms", len(w.tasks), len(w.alarms))
		}
		_, _ = peer.Write(wire.AppendTerminate(nil))
		y.until("its end", func() bool { return len(w.tasks) == 0 })
	}
	if len(w.alarms) > 0 {
		t.Errorf("%d sessions that are over are kept", len(w.alarms))
	}
}
