package main

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/proxy"
	"pgherd/proxy/config"
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

// TestWitnesses has two peers and a witness, 2. Consensus and fences count the two, raft and leases all three, and a process that
// is not what the configuration makes of it does not start.
func TestWitnesses(t *testing.T) {
	c := &config.Config{Watchdog: config.Watchdog{Use: true, Witnesses: []string{"2"}, Peers: []config.Peer{{Index: 0}, {Index: 1}, {Index: 2}}}}
	join := func(*proxy.Machine) (*cluster, error) { return nil, errors.New("not here") }
	if got := peersOf(c, join).Members; !slices.Equal(got, []int{0, 1}) {
		t.Errorf("%v decide about nodes", got)
	}
	if got := memberOf(c).Members; len(got) != 3 {
		t.Errorf("the members of the cluster are %v", got)
	}
	told := func() (text string) {
		for _, d := range greeting(c).Config {
			text += d.Name + "=" + d.Value + ";"
		}
		return text
	}
	if got := told(); !strings.Contains(got, "wd_witnesses=2 ;") {
		t.Errorf("peers are told %s", got)
	}
	log := slog.New(slog.DiscardHandler)
	if _, err := startWitness(t.Context(), c, log); err == nil || !strings.Contains(err.Error(), "this is a witness, and its number 0 is not there") {
		t.Errorf("peer 0 as a witness: got error %v", err)
	}
	c.Watchdog.Self = 2
	if _, err := start(t.Context(), c, log); err == nil || !strings.Contains(err.Error(), "peer 2 is a witness: start it as pgherd witness") {
		t.Errorf("peer 2 as none: got error %v", err)
	}
}
