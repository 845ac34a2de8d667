package peers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pgherd/bench/herd"
)

// pgherdConfig is the shipped configuration except for the pool, which is as large as
// everybody's.
var pgherdConfig = fmt.Sprintf("pool_mode = transaction\ndefault_pool_size = %d\nmax_node_connections = %d\nmax_client_conn = %d\nmax_logins_per_address = 0\n",
	PoolSize, PoolSize+8, MaxClients)

// pgherd is one build of it with further lines of configuration.
func pgherd(name, binary, lines string) *Peer { return inFront(name, binary, lines, 1) }

// inFront is pgherd in front of one PostgreSQL that it takes for this many nodes.
func inFront(name, binary, lines string, nodes int) *Peer {
	return &Peer{Name: name, Version: firstLine(binary, "--version"), start: func(ctx context.Context, place Place) (running, error) {
		config := pgherdConfig + lines
		if place.Mode.TLS {
			config += fmt.Sprintf("ssl = on\nssl_cert = '%s'\nssl_key = '%s'\nserver_tls_sslmode = require\n",
				place.Certs.Cert, place.Certs.Key)
		}
		p, err := herd.StartProxy(ctx, herd.ProxySettings{Binary: binary, Nodes: slices.Repeat([]herd.Node{place.Node}, nodes), Config: config})
		if err != nil {
			return running{}, err
		}
		log := func() string {
			text, err := os.ReadFile(p.Log())
			return fmt.Sprintf("its log (%v): %s", err, text[max(0, len(text)-2000):])
		}
		return running{host: p.Host, port: p.Port, pid: p.PID(), stop: p.Stop, log: log}, nil
	}}
}

// unstreamed is a pgherd that does not receive long results in large pieces, for
// comparison.
func unstreamed(binary string) *Peer {
	p := pgherd("nostream", binary, "io_engine = io_uring\nstream_results = off\n")
	p.only = func(mode Mode) bool { return mode.Answers }
	return p
}

// balanced is a pgherd that reads each statement and spreads them over two nodes,
// which are one PostgreSQL: it shows what that costs, not what it gains.
func balanced(binary string) *Peer {
	p := inFront("balanced", binary, "io_engine = io_uring\nstatement_level_load_balance = on\nsr_check_period = 0\n", 2)
	p.Notes = []string{"pgherd with two nodes that are the same PostgreSQL, a node chosen for each read: what routing costs"}
	p.only = func(mode Mode) bool { return mode == Mode{Prepared: true} }
	return p
}

// more is a further pgherd, given as NAME=[BINARY][;LINE]...: another build, or
// the same one with other settings.
func more(given, binary string) (*Peer, error) {
	name, rest, found := strings.Cut(given, "=")
	if !found || name == "" {
		return nil, fmt.Errorf("read %q: it is not a name, = and what is other there", given)
	}
	own, lines, _ := strings.Cut(rest, ";")
	if own != "" {
		var err error
		if binary, err = filepath.Abs(own); err != nil {
			return nil, err
		}
	}
	peer := pgherd(name, binary, strings.ReplaceAll(lines, ";", "\n")+"\n")
	peer.Notes = []string{given}
	return peer, nil
}
