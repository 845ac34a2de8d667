package watchdog

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgherd/vip/peer"
)

// cluster is some members in one process.
type cluster struct {
	*testing.T
	secret    *tls.Config
	addresses map[string]string
	members   map[string]*member
	full      sync.Map // names of members whose disks refuse writes
	said      lines    // the logs of all
}

// member is a pgherd of it. Its journal is what the others have to have, too.
type member struct {
	*Watchdog
	name    string
	network *peer.Network
	*journal
}

// journal is a Machine that keeps commands, and refuses those that begin with "no".
type journal struct {
	mu       sync.Mutex
	commands []string
	sights   map[string]string
}

func (j *journal) Apply(command []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if strings.HasPrefix(string(command), "no") {
		return errors.New("it begins with no")
	}
	j.commands = append(j.commands, string(command))
	return nil
}

func (j *journal) Snapshot() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	text, _ := json.Marshal(j.commands)
	return text
}

func (j *journal) Restore(state []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.commands = nil
	return json.Unmarshal(state, &j.commands)
}

func (j *journal) Sight(member string, told []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sights[member] = string(told)
}

func (j *journal) has() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.commands)
}

func (j *journal) seen(member string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.sights[member]
}

// newCluster starts members a, b, c.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	identity, err := peer.ByKey("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t, identity.TLS, map[string]string{"a": "127.0.0.1:0", "b": "127.0.0.1:0", "c": "127.0.0.1:0"}, map[string]*member{}, sync.Map{}, lines{}}
	for _, name := range []string{"a", "b", "c"} { // an address is known once its member listens, and keeps it after a restart
		n := c.listen(name)
		c.addresses[name] = n.Addr().String()
		c.must(n.Close())
	}
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		c.start(name, filepath.Join(dir, name))
	}
	t.Cleanup(func() {
		for name := range c.members {
			c.stop(name)
		}
	})
	return c
}

func (c *cluster) listen(name string) *peer.Network {
	c.Helper()
	n, err := peer.Listen(c.addresses[name], peer.Settings{Log: c.log(name), TLS: c.secret, Greeting: peer.Greeting{Cluster: "herd", Member: name},
		Members: c.addresses, Purposes: Purposes()})
	c.must(err)
	return n
}

func (c *cluster) log(name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(io.MultiWriter(c.Output(), &c.said), nil)).With("member", name)
}

func (c *cluster) start(name, directory string) *member {
	c.Helper()
	m := &member{name: name, network: c.listen(name), journal: &journal{sights: map[string]string{}}}
	var err error
	m.Watchdog, err = Open(Settings{Log: c.log(name), Member: name, Members: []string{"a", "b", "c"}, Directory: directory,
		Machine: m.journal, Network: m.network, ElectionTimeout: 150 * time.Millisecond, write: func(s *store, key, value []byte) error {
			if _, full := c.full.Load(name); full {
				return errors.New("no space left on device")
			}
			return s.Set(key, value)
		}})
	c.must(err)
	c.members[name] = m
	return m
}

func (c *cluster) stop(name string) {
	c.Helper()
	m := c.members[name]
	delete(c.members, name)
	c.must(m.Close())
	c.must(m.network.Close())
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

const patience = time.Minute

func (c *cluster) eventually(what string, is func() error) {
	c.Helper()
	deadline := time.Now().Add(patience)
	for err := is(); err != nil; err = is() {
		if time.Now().After(deadline) {
			c.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// leader waits until a member leads, and all know it.
func (c *cluster) leader() (is *member) {
	c.Helper()
	c.eventually("a leader is known to all", func() error {
		is = nil
		for _, m := range c.members {
			if m.Leads() {
				is = m
			}
		}
		for _, m := range c.members {
			if is == nil || m.Standing().Leader != is.name {
				return fmt.Errorf("%s knows %+v", m.name, m.Standing())
			}
		}
		return nil
	})
	return is
}

// follower is one that does not lead.
func (c *cluster) follower() *member {
	c.Helper()
	leader := c.leader()
	for _, name := range []string{"a", "b", "c"} {
		if m := c.members[name]; m != nil && m != leader {
			return m
		}
	}
	c.Fatal("nobody follows")
	return nil
}

// proposes has a member propose a command until that is decided. It may be decided twice then.
func (c *cluster) proposes(m *member, command string) {
	c.Helper()
	c.eventually("propose "+command, func() error {
		ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
		defer cancel()
		return m.Propose(ctx, []byte(command))
	})
	if !slices.Contains(m.has(), command) {
		c.Errorf("%s has proposed %s with success, and has not applied it", m.name, command)
	}
}

// agree waits until all members that run have the same commands, these among them in this order.
func (c *cluster) agree(commands ...string) {
	c.Helper()
	c.eventually("all have the same commands", func() error {
		var first []string
		for _, m := range c.members {
			has := m.has()
			if first == nil {
				first = has
			}
			if !slices.Equal(has, first) || !slices.Equal(slices.Compact(slices.Clone(has)), commands) {
				return fmt.Errorf("%s has %q, want %q", m.name, has, commands)
			}
		}
		return nil
	})
}
