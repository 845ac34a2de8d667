package login

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/auth"
	"pgherd/proxy/session"
)

// TestLeft checks that a client that has ended frees its place, and leaves a line in the log if
// that is configured.
func TestLeft(t *testing.T) {
	for _, told := range []bool{false, true} {
		log := &testGate{}
		g := NewGate(slog.New(slog.NewTextHandler(log, nil)), Uses{})
		g.Configure(&Settings{Policy: &auth.Policy{}, LogDisconnections: told})
		g.clients.Store(3)
		g.Left(session.View{}, errors.New("the wire was cut"))
		if n := g.clients.Load(); n != 2 {
			t.Errorf("%d clients are counted", n)
		}
		if got := log.logged(); strings.Contains(got, "the wire was cut") != told {
			t.Errorf("log_disconnections %v: %s", told, got)
		}
	}
}

// TestSessionTime checks the form that PostgreSQL's log_disconnections has.
func TestSessionTime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00:00.000", 5*time.Second + 123456*time.Microsecond: "0:00:05.123", 59*time.Second + 999600*time.Microsecond: "0:01:00.000",
		25*time.Hour + 61*time.Minute + 7*time.Second: "26:01:07.000",
	} {
		if got := sessionTime(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
