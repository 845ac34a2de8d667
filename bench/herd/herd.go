// Package herd starts throw-away PostgreSQL: a primary and its streaming
// standbys, and pgherd in front of them, for the demo, the tests and the
// benchmarks.
//
// Contract: everything listens on 127.0.0.1 and in a folder of its own, on ports
// the kernel chose. Stop takes all of it away. So does the death of this
// process, even by SIGKILL: the children are told by PR_SET_PDEATHSIG, and the
// folder is removed by a watcher that waits for the end of a pipe. Nothing here
// is durable (fsync is off) and nothing is secret: the passwords are the names.
package herd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Database belongs to User; it is where tests and the demo work.
const Database = "app"

// The users of every herd; each one's password is its name.
const (
	Superuser = "postgres" // scram-sha-256
	User      = "alice"    // scram-sha-256
	UserMD5   = "bob"      // md5
)

const (
	startLimit = 60 * time.Second // for one node to accept connections
	startTries = 3                // somebody else may take a free port before it is listened on
)

// Settings say what herd to start; the zero value is one primary.
type Settings struct {
	Dir      string   // where the herd's folder is made; empty is os.TempDir()
	Standbys int      // streaming standbys, named node1, node2, ...
	Port     int      // the primary's; 0 is a free one
	HBA      []string // pg_hba.conf lines instead of the default ones
	Config   []string // further postgresql.conf lines, for every node
	// Namespace is the file of a network namespace in which the nodes run; "": this process's.
	Namespace string
	TLS       bool // offer TLS, with a certificate for localhost and 127.0.0.1
}

// Node is one PostgreSQL. Index 0 begins as the primary.
type Node struct {
	Index int
	Host  string
	Port  int
	Dir   string // its data folder
	PID   int    // its postmaster; 0 while it is not running
}

// Herd is a running set of nodes. Its methods may be called from any goroutine.
type Herd struct {
	Dir   string // sockets, logs, certificates and the nodes' data folders
	Certs Certs  // empty without Settings.TLS

	settings Settings
	bin      string
	owner    *owner
	watcher  *watcher

	mu    sync.Mutex
	nodes []*node
}

// Start returns when the primary accepts connections and every standby streams.
// After an error nothing is left behind.
func Start(ctx context.Context, settings Settings) (*Herd, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	own, err := findOwner()
	if err != nil {
		return nil, err
	}
	h := &Herd{settings: settings, bin: bin, owner: own}
	if err := h.makeDir(); err != nil {
		return nil, err
	}
	if err := h.startNodes(ctx); err != nil {
		return nil, errors.Join(err, h.Stop())
	}
	return h, nil
}

func (h *Herd) makeDir() error {
	parent := h.settings.Dir
	if parent == "" {
		parent = os.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "herd-")
	if err != nil {
		return fmt.Errorf("make herd's folder: %w", err)
	}
	h.Dir = dir
	if h.watcher, err = watch(dir); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	if err := h.owner.give(dir); err != nil {
		return errors.Join(err, h.watcher.end())
	}
	return nil
}

func (h *Herd) startNodes(ctx context.Context) error {
	if h.settings.TLS {
		certs, err := makeCerts(h.Dir, h.owner)
		if err != nil {
			return err
		}
		h.Certs = certs
	}
	if err := h.initPrimary(ctx); err != nil {
		return err
	}
	if err := h.addStandbys(ctx); err != nil {
		return err
	}
	return h.WaitStreaming(ctx)
}

// Nodes returns the nodes as they are now.
func (h *Herd) Nodes() []Node {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]Node, len(h.nodes))
	for i, n := range h.nodes {
		all[i] = n.Node
		if n.running == nil || n.running.ended() {
			all[i].PID = 0
		}
	}
	return all
}

// Stop ends every node at once, without a checkpoint, and removes the folder.
// It may be called more than once.
func (h *Herd) Stop() error {
	h.mu.Lock()
	nodes := slices.Clone(h.nodes)
	h.mu.Unlock()
	var errs []error
	for _, n := range nodes {
		errs = append(errs, h.stop(n))
	}
	return errors.Join(append(errs, h.watcher.end())...)
}

// Kill ends node i as a crash of PostgreSQL would: at once, for every session.
func (h *Herd) Kill(i int) error {
	n, err := h.node(i)
	if err != nil {
		return err
	}
	return h.stop(n)
}

// Restart starts node i again, on its port and its data; a running one is killed first.
func (h *Herd) Restart(ctx context.Context, i int) error {
	n, err := h.node(i)
	if err != nil {
		return err
	}
	if err := h.stop(n); err != nil {
		return err
	}
	return h.run(ctx, n)
}

func (h *Herd) node(i int) (*node, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i < 0 || i >= len(h.nodes) {
		return nil, fmt.Errorf("find node %d: the herd has %d", i, len(h.nodes))
	}
	return h.nodes[i], nil
}

// Exec runs sql on the primary as superuser in Database and returns psql's plain output.
func (h *Herd) Exec(ctx context.Context, sql string) (string, error) {
	return h.ExecOn(ctx, 0, sql)
}

// ExecOn is Exec on node i.
func (h *Herd) ExecOn(ctx context.Context, i int, sql string) (string, error) {
	return h.psql(ctx, i, Database, sql)
}

func (h *Herd) psql(ctx context.Context, i int, database, sql string) (string, error) {
	n, err := h.node(i)
	if err != nil {
		return "", err
	}
	out, err := h.tool(ctx, "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
		"-h", h.Dir, "-p", fmt.Sprint(n.Port), "-U", Superuser, "-d", database, "-c", sql)
	return strings.TrimRight(out, "\n"), err
}

// WaitStreaming returns when every standby that runs has replayed what the
// primary has written so far.
func (h *Herd) WaitStreaming(ctx context.Context) error {
	standbys := 0
	for _, n := range h.Nodes()[1:] {
		if n.PID != 0 {
			standbys++
		}
	}
	written, err := h.Exec(ctx, "SELECT pg_current_wal_lsn()")
	if err != nil {
		return err
	}
	ask := fmt.Sprintf("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn >= '%s'", written)
	return poll(ctx, startLimit, func() (bool, error) {
		out, err := h.Exec(ctx, ask)
		return out == fmt.Sprint(standbys), err
	})
}

// Build compiles pgherd from the module's source into dir; flags are further ones of
// go build.
func Build(ctx context.Context, dir string, flags ...string) (string, error) {
	binary := filepath.Join(dir, "pgherd")
	_, err := run(ctx, nil, "go", slices.Concat([]string{"build", "-o", binary}, flags, []string{"pgherd/cmd/pgherd"})...)
	return binary, err
}
