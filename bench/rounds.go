package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pgherd/bench/peers"
	"pgherd/bench/report"
	"pgherd/bench/workload"
)

const (
	warmUp     = 300 * time.Millisecond
	roundLimit = 5 * time.Minute // for one round of one peer; after that it counts as hanging
	mostFailed = 2               // how many rounds of a peer in a workload may fail before it gets no more
)

// entry is one peer in one workload, while that runs.
type entry struct {
	peer    *peers.Peer
	started *peers.Started
	stage   *workload.Stage
	failed  int // rounds
	result  report.Variant
}

// workload starts every peer anew, so that its memory belongs to this workload alone,
// and lets the peers take turns. Failures are kept for the report.
func (b *bench) workload(ctx context.Context, w workload.Workload) error {
	fmt.Fprintf(b.out, "\n%s: %s\n", w.Name, w.What)
	var entries []*entry
	for _, p := range b.peers {
		if p.Concerned(w.Mode) {
			entries = append(entries, b.enter(ctx, w, p))
		}
	}
	rounds := b.options.rounds
	if w.Once {
		rounds = 1
	}
	for round := range rounds {
		for i := range entries {
			if ctx.Err() == nil {
				b.round(ctx, w, entries[(i+round)%len(entries)]) // so that nobody is always first
			}
		}
	}
	for _, e := range entries {
		e.count(ctx, w)
	}
	result := report.Result{Name: w.Name, What: w.What}
	var errs []error
	for _, e := range entries {
		errs = append(errs, e.leave())
		result.Variants = append(result.Variants, e.result)
	}
	b.report.Workloads = append(b.report.Workloads, result)
	fmt.Fprint(b.out, result.Brief())
	return errors.Join(errs...)
}

// enter starts a peer and warms it up; for one that cannot take part it says why.
func (b *bench) enter(ctx context.Context, w workload.Workload, p *peers.Peer) *entry {
	e := &entry{peer: p, result: report.Variant{Peer: p.Name, Why: p.Cannot(w.Mode)}}
	if e.result.Why != "" || ctx.Err() != nil {
		return e
	}
	started, err := p.Start(ctx, peers.Place{Node: b.herd.Nodes()[0], Certs: b.herd.Certs, Log: b.herd.Log(0), Mode: w.Mode})
	if err != nil {
		e.result.Why = err.Error()
		return e
	}
	e.started = started
	// pgbench's logs go into the herd's folder: its watcher clears that when we are killed.
	e.stage = &workload.Stage{Target: started.Target, PID: started.PID, Pgbench: b.herd.Tool("pgbench"), Dir: b.herd.Dir,
		Window: b.options.window, Quick: b.options.quick}
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	if err := w.SetUp(ctx, e.stage); err != nil {
		e.result.Why, e.failed = "set up: "+err.Error(), mostFailed
		return e
	}
	if !w.Once {
		e.warm(ctx, w)
	}
	return e
}

// warm fills pools and caches, briefly. If that fails, the rounds will fail too, and
// report it.
func (e *entry) warm(ctx context.Context, w workload.Workload) { _, _ = e.brief(ctx, w, false) }

// brief is a short turn of little data.
func (e *entry) brief(ctx context.Context, w workload.Workload, count bool) (workload.Sample, error) {
	stage := *e.stage
	stage.Window, stage.Quick, stage.Count = min(warmUp, stage.Window), true, count
	return w.Run(ctx, &stage)
}

// count takes a short turn after all measured ones, in which only the system calls are
// counted. If they cannot be counted, the report has none.
func (e *entry) count(ctx context.Context, w workload.Workload) {
	if e.started == nil || e.failed >= mostFailed || e.stage.PID == 0 || w.Once {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	all, err := e.brief(ctx, w, true)
	if err != nil {
		return
	}
	e.result.Calls = workload.Sample{}
	for _, m := range []workload.Metric{workload.CallsEach, workload.CallsBulk} {
		if n, ok := all[m]; ok {
			e.result.Calls[m] = n
		}
	}
}

func (b *bench) round(ctx context.Context, w workload.Workload, e *entry) {
	if e.started == nil || e.failed >= mostFailed {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	sample, err := w.Run(ctx, e.stage)
	if err != nil {
		e.result.Why = fmt.Sprintf("round %d: %v", len(e.result.Rounds)+1, err)
		sample, e.failed = nil, e.failed+1
	}
	e.result.Rounds = append(e.result.Rounds, sample)
}

// leave closes what is open and stops the peer.
func (e *entry) leave() error {
	if e.started == nil {
		return nil
	}
	return errors.Join(e.stage.Close(), e.started.Stop())
}
