package herd

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// node is a Node and the process that runs it; Herd.mu guards what changes:
// Port (until the first start has succeeded), PID and running.
type node struct {
	Node
	running *process
}

// nodeConfig is what every node shares; Settings.Config comes after it and takes
// precedence.
const nodeConfig = `
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = local
full_page_writes = off
shared_buffers = 32MB
max_connections = 100
wal_level = replica
wal_log_hints = on
wal_keep_size = 512MB
max_wal_senders = 10
hot_standby = on
hot_standby_feedback = on
max_prepared_transactions = 10
password_encryption = 'scram-sha-256'
wal_retrieve_retry_interval = 200ms
log_line_prefix = '%m [%p] %u@%d %a '
`

// Exec's own line comes first in every pg_hba.conf: the herd's folder is open to its owner only.
const ownHBA = "local all postgres trust\nlocal replication postgres trust\n"

var defaultHBA = []string{
	"host all bob 127.0.0.1/32 md5",
	"host all all 127.0.0.1/32 scram-sha-256",
	"host replication all 127.0.0.1/32 scram-sha-256",
	"local all all scram-sha-256",
}

var createUsers = []string{
	"ALTER ROLE postgres PASSWORD 'postgres'",
	"CREATE ROLE alice LOGIN PASSWORD 'alice'",
	"SET password_encryption = 'md5'; CREATE ROLE bob LOGIN PASSWORD 'bob'",
	"CREATE DATABASE app OWNER alice",
}

// tool runs one of PostgreSQL's programs as the owner.
func (h *Herd) tool(ctx context.Context, name string, args ...string) (string, error) {
	return run(ctx, h.owner.cred, h.Tool(name), args...)
}

func (h *Herd) initPrimary(ctx context.Context) error {
	n := h.newNode(0)
	n.Port = h.settings.Port
	_, err := h.tool(ctx, "initdb", "--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "-U", Superuser, "-D", n.Dir)
	if err != nil {
		return err
	}
	if err := h.configure(n); err != nil {
		return err
	}
	if err := h.run(ctx, n); err != nil {
		return err
	}
	for _, sql := range createUsers {
		if _, err := h.psql(ctx, 0, "postgres", sql); err != nil {
			return err
		}
	}
	_, err = h.Exec(ctx, "GRANT ALL ON SCHEMA public TO PUBLIC")
	return err
}

// addStandbys copies the primary while it is stopped: pg_basebackup would have to be
// as new as the server, and comes with few installations of servers alone.
func (h *Herd) addStandbys(ctx context.Context) error {
	if h.settings.Standbys == 0 {
		return nil
	}
	primary := h.nodes[0]
	if err := primary.running.stop(syscall.SIGINT); err != nil { // fast, with a checkpoint
		return err
	}
	for i := range h.settings.Standbys {
		n := h.newNode(i + 1)
		if _, err := run(ctx, h.owner.cred, "cp", "-a", primary.Dir, n.Dir); err != nil {
			return err
		}
	}
	h.mu.Lock()
	primary.Port = h.settings.Port // somebody may have taken the port that it had
	h.mu.Unlock()
	if err := h.run(ctx, primary); err != nil {
		return err
	}
	for _, n := range h.nodes[1:] {
		if err := h.follow(ctx, n, primary); err != nil {
			return err
		}
	}
	return nil
}

// follow starts n as a standby that streams from another node. Of several lines of one
// parameter PostgreSQL takes the last, so what else ALTER SYSTEM has set stays.
func (h *Herd) follow(ctx context.Context, n, upstream *node) error {
	conninfo := fmt.Sprintf("primary_conninfo = 'host=%s port=%d user=%s password=%s application_name=node%d'\n", h.Dir, upstream.Port, Superuser, Superuser, n.Index)
	file := filepath.Join(n.Dir, "postgresql.auto.conf")
	before, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("have node %d follow node %d: %w", n.Index, upstream.Index, err)
	}
	if err := h.owner.write(file, string(before)+conninfo); err != nil {
		return err
	}
	if err := h.owner.write(filepath.Join(n.Dir, "standby.signal"), ""); err != nil {
		return err
	}
	return h.run(ctx, n)
}

func (h *Herd) newNode(i int) *node {
	n := &node{Node: Node{Index: i, Host: "127.0.0.1", Dir: filepath.Join(h.Dir, fmt.Sprintf("node%d", i))}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nodes = append(h.nodes, n)
	return n
}

// configure writes the primary's files; standbys get a copy.
func (h *Herd) configure(n *node) error {
	config := nodeConfig + fmt.Sprintf("unix_socket_directories = '%s'\n", h.Dir)
	if h.settings.TLS {
		config += fmt.Sprintf("ssl = on\nssl_ca_file = '%s'\nssl_cert_file = '%s'\nssl_key_file = '%s'\n", h.Certs.CA, h.Certs.Cert, h.Certs.Key)
	}
	config += strings.Join(h.settings.Config, "\n") + "\n"
	file, err := os.OpenFile(filepath.Join(n.Dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString(config); err != nil {
		return err
	}
	lines := h.settings.HBA
	if lines == nil {
		lines = defaultHBA
	}
	return h.owner.write(filepath.Join(n.Dir, "pg_hba.conf"), ownHBA+strings.Join(lines, "\n")+"\n")
}

// run starts n and waits until it accepts connections. A node without a port
// gets a free one; as somebody may take it before the node does, there are a few tries.
func (h *Herd) run(ctx context.Context, n *node) error {
	fresh := n.Port == 0
	for try := 1; ; try++ {
		if fresh {
			port, err := FreePort()
			if err != nil {
				return err
			}
			h.mu.Lock()
			n.Port = port
			h.mu.Unlock()
		}
		err := h.runOnce(ctx, n)
		if err == nil || !fresh || try == startTries || !strings.Contains(err.Error(), "Address already in use") {
			return err
		}
	}
}

func (h *Herd) runOnce(ctx context.Context, n *node) error {
	cmd := exec.Command(filepath.Join(h.bin, "postgres"), "-D", n.Dir, "-p", fmt.Sprint(n.Port), "-c", fmt.Sprintf("cluster_name=node%d", n.Index))
	cmd.Dir = h.Dir
	// SIGQUIT is PostgreSQL's immediate shutdown: it takes its own children along.
	p, err := spawn(cmd, h.Log(n.Index), h.owner.cred, syscall.SIGQUIT, h.settings.Namespace)
	if err != nil {
		return err
	}
	h.mu.Lock()
	n.running, n.PID = p, p.pid()
	h.mu.Unlock()
	err = poll(ctx, startLimit, func() (bool, error) {
		if p.ended() {
			return false, fmt.Errorf("start node %d: it ended; %s", n.Index, p.tail())
		}
		_, err := h.psql(ctx, n.Index, "postgres", "SELECT 1")
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%w; %s", err, p.tail())
	}
	return nil
}

// Log is the file that node i writes its log to.
func (h *Herd) Log(i int) string { return filepath.Join(h.Dir, fmt.Sprintf("node%d.log", i)) }

func (h *Herd) stop(n *node) error {
	h.mu.Lock()
	running := n.running
	h.mu.Unlock()
	if running == nil || running.ended() {
		return nil
	}
	return running.stop(syscall.SIGQUIT)
}

// FreePort asks the kernel for a port of 127.0.0.1 that nobody listens on now.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
