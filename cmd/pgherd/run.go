package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"pgherd/proxy"
	"pgherd/proxy/config"
)

// Ways to stop, for Server.Drain.
const (
	smart     = "smart"     // accept no new clients, and wait until the others leave (drain_timeout)
	fast      = "fast"      // end the sessions in order, now
	immediate = "immediate" // drop everything
)

// Server is the running proxy, as seen from the process around it.
type Server interface {
	// Reload applies another configuration; after an error the old one stays.
	Reload(*config.Config) error
	// Drain begins to stop and returns at once. A later call may only be more urgent.
	Drain(mode string)
	// Wait returns when the server has stopped, with the reason if it was not asked to.
	Wait() error
}

// starter starts a server that listens when it returns. ctx is cancelled if the process is told to
// stop before that, and after Wait has returned.
type starter func(ctx context.Context, c *config.Config, log *slog.Logger) (Server, error)

// start is proxy.Start. It removes libpq's environment variables, which are for
// applications: a PGSERVICE or PGOPTIONS in the environment of the daemon must not
// affect its probes.
func start(ctx context.Context, c *config.Config, log *slog.Logger) (Server, error) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PG") {
			os.Unsetenv(name)
		}
	}
	if w := &c.Watchdog; w.Use && w.Witness(w.Self) {
		return nil, c.Blame("wd_witnesses", fmt.Errorf("peer %d is a witness: start it as pgherd witness", w.Self))
	}
	var joined *cluster
	peers := peersOf(c, func(m *proxy.Machine) (_ *cluster, err error) {
		joined, err = join(c, m)
		return joined, err
	})
	p, err := proxy.Start(ctx, c, log, version, peers)
	switch {
	case err != nil && joined != nil:
		return nil, errors.Join(err, joined.Close())
	case err != nil:
		return nil, err
	case joined == nil:
		return p, nil
	}
	return member{p, joined}, nil
}

// member is a proxy that is one of several.
type member struct {
	*proxy.Proxy
	cluster *cluster
}

// Drain ends the sessions in order, also where they might stay until they leave, if this host has a virtual address: that moves
// once they have ended, and new clients cannot wait for ever.
func (m member) Drain(mode string) {
	if mode == smart && m.cluster.Holds() {
		mode = fast
	}
	m.Proxy.Drain(mode)
}

// Wait returns when the proxy has stopped, and this pgherd has left the others.
func (m member) Wait() error {
	err := m.Proxy.Wait()
	return errors.Join(err, m.cluster.Close())
}
