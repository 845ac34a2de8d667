package watchdog

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// lines are those of a log, which may be read while it is written.
type lines struct {
	lock sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(b)
}

func (l *lines) with(what string) (all []string) {
	l.lock.Lock()
	defer l.lock.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, what) {
			all = append(all, line)
		}
	}
	return all
}

// TestHeardAgain has a member be away for a while: the log says that it is heard again.
func TestHeardAgain(t *testing.T) {
	c := newCluster(t)
	leader, away := c.leader(), c.follower()
	c.stop(away.name)
	c.eventually("it is missed", func() error {
		if _, lost := leader.lost.Load(away.name); !lost {
			return errors.New("the leader has not tried to connect")
		}
		return nil
	})
	c.proposes(leader, "one")
	c.start(away.name, away.set.Directory)
	c.eventually("it is heard again", func() error {
		if len(c.said.with("a member is heard again")) == 0 {
			return errors.New("nobody says so")
		}
		return nil
	})
	if all := c.said.with("failed to heartbeat to"); len(all) > 1 {
		t.Errorf("the logs have:\n%s", strings.Join(all, ""))
	}
}

// TestAcceptAgain checks what of raft's lines is told once: those that differ only in what varies.
func TestAcceptAgain(t *testing.T) {
	var log lines
	s := sink{&Watchdog{set: Settings{Log: slog.New(slog.NewTextHandler(&log, nil))}}}
	for i := range 10 {
		for _, peer := range []string{"1", "2"} {
			s.Accept("raft", 5, "failed to heartbeat to", "peer", peer, "error", i)
			s.Accept("raft", 5, "failed to make requestVote RPC", "target", peer, "term", i)
		}
		s.Accept("raft", 5, "failed to take snapshot", "error", i)
		s.Accept("raft", 5, "failed to heartbeat to", "peer", "1", "error", "connect to member 1: another reason")
	}
	if all := log.with("level="); len(all) != 6 {
		t.Errorf("the log has:\n%s", strings.Join(all, ""))
	}
}
