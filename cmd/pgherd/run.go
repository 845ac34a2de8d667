package main

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"pgherd/proxy"
	"pgherd/proxy/config"
)

// Ways to stop, for Server.Drain.
const (
	smart     = "smart"     // take no new clients, wait for the others to leave (drain_timeout)
	fast      = "fast"      // close clients in order, now
	immediate = "immediate" // drop everything
)

// Server is the running proxy, as seen from the process around it.
type Server interface {
	// Reload takes up another configuration; after an error the old one stays.
	Reload(*config.Config) error
	// Drain begins to stop and returns at once. A later call may only be more urgent.
	Drain(mode string)
	// Wait returns when the server has stopped, with the reason if nobody asked it to.
	Wait() error
}

// starter starts a server that listens when it returns. ctx is cancelled if the process is told to
// stop before that, and after Wait has returned.
type starter func(ctx context.Context, c *config.Config, log *slog.Logger) (Server, error)

// start is proxy.Start. libpq's environment variables are for applications:
// a PGSERVICE or PGOPTIONS of whoever starts the daemon must not reach its
// probes.
func start(ctx context.Context, c *config.Config, log *slog.Logger) (Server, error) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PG") {
			os.Unsetenv(name)
		}
	}
	p, err := proxy.Start(ctx, c, log, version)
	if err != nil {
		return nil, err
	}
	return p, nil
}
