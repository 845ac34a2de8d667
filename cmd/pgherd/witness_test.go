package main

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// elected is a witness's cluster: it leads until one of its tries to resign succeeds.
type elected struct{ tries, fails int }

func (e *elected) Leads() bool { return e.tries <= e.fails }

func (e *elected) Resign() error {
	if e.tries++; e.tries <= e.fails {
		return errors.New("nobody is ready")
	}
	return nil
}

// TestWitnessResigns has a witness be elected while nobody is ready to lead: it tries again until somebody is, and warns once.
func TestWitnessResigns(t *testing.T) {
	var log strings.Builder
	e := &elected{fails: 3}
	w := &witness{leading: e, log: slog.New(slog.NewTextHandler(&log, nil)), turned: make(chan struct{}, 1), stop: make(chan struct{})}
	again, done := make(chan time.Time), make(chan struct{})
	go func() {
		defer close(done)
		w.run(again)
	}()
	w.turn()
	for range 10 {
		again <- time.Time{}
	}
	w.Drain("")
	<-done
	if e.tries != 4 {
		t.Errorf("it has tried %d times, want 4", e.tries)
	}
	if got := strings.Count(log.String(), "nobody is ready"); got != 1 {
		t.Errorf("the log has:\n%s", &log)
	}
}
