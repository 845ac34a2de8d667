package watchdog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestDecide checks that all members apply what any of them proposes, in one order.
func TestDecide(t *testing.T) {
	c := newCluster(t)
	c.proposes(c.leader(), "one")
	c.proposes(c.follower(), "two")
	c.agree("one", "two")
	for _, m := range []*member{c.leader(), c.follower()} {
		if err := m.Propose(t.Context(), []byte("nothing")); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "it begins with no") {
			t.Errorf("%s proposes what is refused: %v", m.name, err)
		}
	}
	if err := c.leader().Propose(t.Context(), make([]byte, LongestCommand+1)); err == nil {
		t.Error("a command that is too long is decided")
	}
}

// TestLeaderIsLost checks that decisions go on without the leader, and that it catches up when it comes back, with its
// log and without.
func TestLeaderIsLost(t *testing.T) {
	for what, loses := range map[string]bool{"with its log": false, "without its log": true} {
		t.Run(what, func(t *testing.T) {
			c := newCluster(t)
			old := c.leader()
			c.proposes(old, "one")
			c.stop(old.name)
			c.proposes(c.leader(), "two")
			directory := old.set.Directory
			if loses {
				c.must(os.RemoveAll(directory))
			}
			c.start(old.name, directory)
			c.agree("one", "two")
			c.proposes(c.members[old.name], "three")
			c.agree("one", "two", "three")
		})
	}
}

// TestSnapshot checks that a member that was away for longer than the log goes back gets the state as a whole.
func TestSnapshot(t *testing.T) {
	c := newCluster(t)
	away := c.follower()
	c.proposes(c.leader(), "one")
	c.agree("one")
	c.stop(away.name)
	var want []string
	for i := range keptAfterSnapshot + 50 {
		want = append(want, fmt.Sprint("command ", i))
	}
	leader := c.leader()
	for _, command := range want {
		c.must(leader.Propose(t.Context(), []byte(command)))
	}
	c.must(leader.raft.Snapshot().Error())
	c.start(away.name, away.set.Directory)
	c.agree(append([]string{"one"}, want...)...)
	c.proposes(c.leader(), "behind the snapshot")
	c.agree(append([]string{"one"}, append(want, "behind the snapshot")...)...)
	c.stop(away.name) // its log begins anew behind the snapshot, and is not damaged
	c.start(away.name, away.set.Directory)
	c.agree(append([]string{"one"}, append(want, "behind the snapshot")...)...)
}

// TestNoMajority checks that nothing is decided by one of three, and that nobody leads then.
func TestNoMajority(t *testing.T) {
	c := newCluster(t)
	leader := c.leader()
	for name := range c.members {
		if name != leader.name {
			c.stop(name)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := leader.Propose(ctx, []byte("alone")); err == nil {
		t.Error("one of three has decided")
	}
	c.eventually("nobody leads", func() error {
		if leader.Leads() {
			return errors.New("the leader goes on")
		}
		return nil
	})
	if len(leader.has()) > 0 {
		t.Errorf("it has applied %q", leader.has())
	}
}

// TestSights checks that the leader hears what members see, and the next leader, too.
func TestSights(t *testing.T) {
	c := newCluster(t)
	leader := c.leader()
	for _, m := range c.members {
		m.Tell([]byte("older"))
		m.Tell([]byte(m.name + " sees"))
	}
	hears := func(who *member) {
		t.Helper()
		for name := range c.members {
			c.eventually(who.name+" hears "+name, func() error {
				if got := who.seen(name); got != name+" sees" {
					return fmt.Errorf("it has heard %q", got)
				}
				return nil
			})
		}
	}
	hears(leader)
	c.stop(leader.name)
	hears(c.leader())
}

// TestLead checks that an operator may have another member lead, and that it knows all by then.
func TestLead(t *testing.T) {
	c := newCluster(t)
	c.proposes(c.leader(), "one")
	next := c.follower()
	c.must(c.leader().Lead(next.name))
	c.eventually("the other one leads", func() error {
		if is := c.leader(); is != next {
			return fmt.Errorf("%s leads", is.name)
		}
		return nil
	})
	if got := next.has(); len(got) != 1 {
		t.Errorf("it leads, and has applied %q", got)
	}
}

// filled is the path of a log with some commands in it.
func filled(t *testing.T) (directory, path string) {
	t.Helper()
	directory = t.TempDir()
	s, err := openStore(directory)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(20) {
		err = errors.Join(err, s.StoreLog(&raft.Log{Index: i + 1, Term: 1, Type: raft.LogCommand, Data: bytes.Repeat([]byte{byte(i)}, 500)}))
	}
	err = errors.Join(err, s.SetUint64([]byte("CurrentTerm"), 7), s.SetUint64([]byte("LastVoteTerm"), 7), s.Set([]byte("LastVoteCand"), []byte("b")))
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return directory, filepath.Join(directory, "decisions.db")
}

// TestDamaged damages a log in many places: it is refused, or says what it has said before.
func TestDamaged(t *testing.T) {
	directory, path := filled(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random, refused := rand.New(rand.NewPCG(1, 1)), 0
	for range 300 {
		damaged := bytes.Clone(whole)
		at := random.IntN(len(damaged))
		damaged[at] ^= byte(1 + random.IntN(255))
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(directory)
		if err != nil {
			refused++
			continue
		}
		for i := range uint64(20) {
			var l raft.Log
			if err := s.GetLog(i+1, &l); err != nil || !bytes.Equal(l.Data, bytes.Repeat([]byte{byte(i)}, 500)) {
				t.Errorf("byte %d is another, and entry %d is %x, %v", at, i+1, l.Data, err)
			}
		}
		term, err := s.GetUint64([]byte("LastVoteTerm"))
		if who, failed := s.Get([]byte("LastVoteCand")); term != 7 || string(who) != "b" || errors.Join(err, failed) != nil {
			t.Errorf("byte %d is another, and the vote is for %q in term %d, %v, %v", at, who, term, err, failed)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Error("no damage was noticed")
	}
	for what, content := range map[string][]byte{"another file": []byte(strings.Repeat("hello ", 2000)), "half a file": whole[:len(whole)/2]} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openStore(directory); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTwoProcesses checks that the log has one owner.
func TestTwoProcesses(t *testing.T) {
	directory, _ := filled(t)
	s, err := openStore(directory)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := openStore(directory); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("the log is opened twice: %v", err)
	}
}
