package events

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestKept checks that what is logged is kept with its reasons, and still logged.
func TestKept(t *testing.T) {
	var out bytes.Buffer
	ring := new(Ring)
	log := ring.Keep(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})))
	log.With("node", 1).WithGroup("probe").Warn("node does not answer", "error", "refused")
	log.Info("node answers again")
	log.Debug("nobody needs this")
	events := ring.Last()
	if len(events) != 2 || events[0].Text != "node does not answer" || events[0].Details != "node=1 probe.error=refused" ||
		events[0].Level != slog.LevelWarn || events[0].Time.IsZero() || events[1].Text != "node answers again" || events[1].Details != "" {
		t.Errorf("the events kept are %+v", events)
	}
	if log := out.String(); !strings.Contains(log, "probe.error=refused") || strings.Contains(log, "again") {
		t.Errorf("the log has %q", log)
	}
}

// TestOldestGoFirst checks that the ring has a limit, and that the oldest events go first.
func TestOldestGoFirst(t *testing.T) {
	ring := new(Ring)
	log := ring.Keep(slog.New(slog.DiscardHandler))
	for i := range Limit + 3 {
		log.Info(fmt.Sprint(i))
	}
	events := ring.Last()
	if len(events) != Limit || events[0].Text != "3" || events[Limit-1].Text != fmt.Sprint(Limit+2) {
		t.Errorf("%d events are kept, from %s to %s", len(events), events[0].Text, events[len(events)-1].Text)
	}
}
