// Package bench says how fast pgherd is beside what a user would pick instead.
//
// Contract: Main starts a PostgreSQL and every peer, drives all of them through
// each workload in turns, writes a report, and takes everything away again, also
// when it is interrupted or killed. It links nothing of pgherd: it runs the
// program. A peer that fails is said so in the report, and the others go on; the
// exit code tells of failures, never of speed.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/peers"
	"pgherd/bench/report"
	"pgherd/bench/workload"
)

// postgresConfig is for a server that is not the bottleneck, as far as that is
// possible.
var postgresConfig = []string{
	"shared_buffers = 512MB", "max_connections = 600", "autovacuum = off", "max_wal_size = 4GB",
	"checkpoint_timeout = 1h", "max_parallel_workers_per_gather = 0", "jit = off", "synchronize_seqscans = off",
}

// bench is one run.
type bench struct {
	options options
	out     io.Writer
	herd    *herd.Herd
	peers   []*peers.Peer
	report  report.Report
}

func (b *bench) run(ctx context.Context) (err error) {
	b.report.Begun = time.Now()
	if b.herd, err = herd.Start(ctx, herd.Settings{TLS: true, Port: b.options.port, Config: postgresConfig}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.herd.Stop()) }()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	var failed []error
	for _, w := range workload.All {
		if b.options.run.MatchString(w.Name) && ctx.Err() == nil {
			failed = append(failed, b.workload(ctx, w))
		}
	}
	return errors.Join(append(failed, b.finish(), ctx.Err())...)
}

func (b *bench) finish() error {
	b.report.Seconds = time.Since(b.report.Begun).Seconds()
	b.report.Judge()
	fmt.Fprintf(b.out, "\n%s\n", b.report.VerdictTable())
	if err := b.report.Write(b.options.out); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "the whole report: %s\n", filepath.Join(b.options.out, "report.md"))
	return nil
}

// prepare finds the peers and fills the database.
func (b *bench) prepare(ctx context.Context) error {
	wanted := b.options.wanted
	wanted.Binary = filepath.Join(b.herd.Dir, "pgherd")
	if err := copyProgram(b.options.wanted.Binary, wanted.Binary); err != nil {
		return err
	}
	found, leftOut, err := peers.Find(ctx, b.herd, wanted)
	if err != nil {
		return err
	}
	for _, p := range found {
		if b.options.variants.MatchString(p.Name) {
			b.peers = append(b.peers, p)
			b.report.Peers = append(b.report.Peers, report.Peer{Name: p.Name, Version: p.Version, Notes: p.Notes})
		}
	}
	b.report.LeftOut = leftOut
	for _, line := range leftOut {
		fmt.Fprintln(b.out, line)
	}
	if b.report.Machine, err = machine(); err != nil {
		return err
	}
	o := b.options
	b.report.Settings = report.Settings{Rounds: o.rounds, WindowSeconds: o.window.Seconds(), Quick: o.quick, Scale: o.scale(),
		PoolSize: peers.PoolSize, Login: "SCRAM-SHA-256", PostgreSQL: postgresConfig}
	node := b.herd.Nodes()[0]
	fmt.Fprintf(b.out, "PostgreSQL listens on %s:%d, database %s, user and password %s\n", node.Host, node.Port, herd.Database, herd.User)
	dsn := fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s", node.Host, node.Port, herd.User, herd.User, herd.Database)
	if _, err := herd.Run(ctx, b.herd.Tool("pgbench"), "-i", "-q", "-s", fmt.Sprint(o.scale()), dsn); err != nil {
		return err
	}
	_, err = b.herd.Exec(ctx, workload.Tables)
	return err
}

// copyProgram copies the program, so that a run measures one build even if somebody
// builds another one meanwhile.
func copyProgram(from, to string) error {
	program, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read pgherd: %w", err)
	}
	return os.WriteFile(to, program, 0o755)
}
