package watchdog

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
)

// TestDiskIsFull has a member's disk refuse to write its votes: the others decide without it, it goes on once the disk takes
// them, and it can be stopped before that.
func TestDiskIsFull(t *testing.T) {
	c := newCluster(t)
	old := c.leader()
	full := c.follower()
	c.full.Store(full.name, true)
	c.proposes(old, "one")
	for name, m := range c.members { // two elections, which have it write a term and a vote
		if m != old && m != full {
			c.must(old.Lead(name))
			c.eventually(name+" leads, and decides", func() error { return m.Propose(t.Context(), []byte("two")) })
		}
	}
	c.full.Delete(full.name)
	c.agree("one", "two")
	c.full.Store(full.name, true)
	if err := c.leader().Lead(full.name); err == nil {
		t.Error("a member leads that cannot write its term")
	}
	c.stop(full.name)
	c.full.Delete(full.name)
	c.start(full.name, full.set.Directory)
	c.agree("one", "two")
}

// TestWriteAgain checks that a value is written once the disk takes it, that the log says so, and that nothing is taken for
// written in a member that is closed before.
func TestWriteAgain(t *testing.T) {
	var log strings.Builder
	tries := 0
	l := &lasting{log: slog.New(slog.NewTextHandler(&log, nil)), write: func(_, value []byte) error {
		if tries++; tries < 4 {
			return errors.New("no space left on device")
		}
		return nil
	}}
	if err := l.SetUint64([]byte("CurrentTerm"), 7); err != nil || tries != 4 {
		t.Errorf("it returns %v after %d tries, want 4", err, tries)
	}
	if got := strings.Count(log.String(), "no space left"); got != 1 || !strings.Contains(log.String(), "written again") {
		t.Errorf("the log says:\n%s", &log)
	}
	ended, returned, done := make(chan struct{}), false, make(chan struct{})
	close(ended)
	l = &lasting{log: slog.New(slog.NewTextHandler(io.Discard, nil)), ended: ended, pause: patience,
		write: func(_, _ []byte) error { return errors.New("no space left on device") }}
	go func() {
		defer close(done)
		_ = l.Set([]byte("LastVoteTerm"), nil)
		returned = true
	}()
	if <-done; returned {
		t.Error("a closed member takes for written what is not")
	}
}
