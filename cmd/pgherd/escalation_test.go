package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// TestEscalation checks which commands run while a pgherd begins and ceases to lead, and is stopped.
func TestEscalation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "said")
	var leads atomic.Bool
	e := newEscalation(slog.New(slog.DiscardHandler), "echo begins >> "+file, "echo ends >> "+file+"; exit 1")
	e.start(leads.Load)
	said := func(want string) {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for {
			got, _ := os.ReadFile(file)
			if string(got) == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the commands have said %q, want %q", got, want)
			}
			time.Sleep(time.Millisecond)
		}
	}
	e.turn() // it does not lead
	leads.Store(true)
	e.turn()
	said("begins\n")
	e.turn() // still
	leads.Store(false)
	e.turn()
	said("begins\nends\n")
	leads.Store(true)
	e.turn()
	said("begins\nends\nbegins\n")
	leads.Store(false)
	e.close() // which sees that it leads no more
	said(fmt.Sprint("begins\nends\n", "begins\nends\n"))
}
