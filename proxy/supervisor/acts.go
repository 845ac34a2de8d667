package supervisor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
)

// progress is what came of the acts of one epoch, and those that are under way.
type progress struct {
	of      failover.Progress
	began   time.Duration
	asked   time.Duration // when the first Revoke or AskPosition began; 0: none has
	running map[deed]bool
	ended   map[deed]ending
	alarmed bool
	ran     bool            // the command of the Promote under way has ended
	ctx     context.Context // of the epoch's acts
	cancel  context.CancelFunc
}

// deed is an act of this epoch.
type deed struct {
	do   failover.Action
	node int
}

// ending is when an act has ended, and whether it could be carried out.
type ending struct {
	at   time.Duration
	done bool
}

// recent says that an act has ended so lately that what it did is not seen yet, or that
// another try would be too soon.
func (e ending) recent(now time.Duration) bool {
	if e.done {
		return now-e.at < seenAgain
	}
	return now-e.at < actAgain
}

// enter begins an epoch. The acts of the one before are given up. Those that have failed
// just now keep their pause: a standby that cannot be promoted must not make one epoch
// follow another without end.
func (p *progress) enter(parent context.Context, epoch uint64, now time.Duration) {
	p.end()
	failed := maps.Clone(p.ended)
	maps.DeleteFunc(failed, func(_ deed, e ending) bool { return e.done || !e.recent(now) })
	if failed == nil {
		failed = map[deed]ending{}
	}
	*p = progress{of: failover.Progress{Epoch: epoch, Answers: map[int]failover.Answer{}},
		began: now, running: map[deed]bool{}, ended: failed}
	p.ctx, p.cancel = context.WithCancel(parent)
}

func (p *progress) end() {
	if p.cancel != nil {
		p.cancel()
	}
}

// at is the progress as a decision looks at it.
func (p *progress) at(now time.Duration) failover.Progress {
	of := p.of
	of.Lasted = now - p.began
	if p.asked != 0 {
		of.Asked = now - p.asked
	}
	for d := range p.running {
		if d.do == failover.Promote && p.ran {
			continue
		}
		of.Running = append(of.Running, failover.Deed{Do: d.do, Node: d.node})
	}
	of.Answers, of.Failed = maps.Clone(of.Answers), slices.Clone(of.Failed)
	return of
}

// fail notes that an act could not be carried out; only the latest reason is kept.
func (p *progress) fail(d deed, err error) {
	p.of.Failed = slices.DeleteFunc(p.of.Failed, func(f failover.Failure) bool { return f.Do == d.do && f.Node == d.node })
	p.of.Failed = append(p.of.Failed, failover.Failure{Do: d.do, Node: d.node, Why: err.Error()})
}

// carryOut begins an act, unless it is under way, or has failed just now.
func (s *Supervisor) carryOut(a failover.Act) {
	p, now := &s.progress, s.Clock()
	d := deed{a.Do, a.Node}
	if a.Do == failover.Alarm {
		if !p.alarmed {
			s.Log.Error("the herd cannot go on by itself", "node", a.Node, "reason", a.Reason)
		}
		p.alarmed = true
		return
	}
	if last, ended := p.ended[d]; p.running[d] || ended && last.recent(now) || a.Do == failover.Fence {
		return // each member fences by itself
	}
	run, err := s.runOf(a)
	if err != nil {
		p.fail(d, err)
		return
	}
	if a.Do == failover.Promote {
		p.ran = false
	}
	if (a.Do == failover.Revoke || a.Do == failover.AskPosition) && p.asked == 0 {
		p.asked = now
	}
	s.begin(d, run)
}

// begin has an act carried out on a goroutine of its own.
func (s *Supervisor) begin(d deed, run run) {
	s.progress.running[d] = true
	ctx := s.progress.ctx
	go func() {
		note, err := run(ctx)
		s.post(func() { s.ended(ctx, d, note, err) })
	}()
}

// ended notes what came of an act, unless it was given up meanwhile.
func (s *Supervisor) ended(of context.Context, d deed, note func(*failover.Progress), err error) {
	p := &s.progress
	if p.ctx != of {
		return
	}
	delete(p.running, d)
	p.ended[d] = ending{s.Clock(), err == nil}
	s.Look(d.node)
	if err == nil {
		note(&p.of)
		s.Log.Info("herd: "+string(d.do)+" is done", "node", d.node, "epoch", p.of.Epoch)
		return
	}
	p.fail(d, err)
	if !errors.Is(err, context.Canceled) {
		s.Log.Warn("herd: "+string(d.do)+" failed", "node", d.node, "epoch", p.of.Epoch, "error", err)
	}
}

// run carries an act out, and tells how to note what came of it.
type run func(context.Context) (note func(*failover.Progress), err error)

func (s *Supervisor) runOf(a failover.Act) (run, error) {
	n, epoch := s.nodeOf(a.Node), s.herd.Epoch
	if n == nil {
		return nil, fmt.Errorf("%s node %d: it is not configured", a.Do, a.Node)
	}
	switch a.Do {
	case failover.Revoke, failover.AskPosition:
		ask := s.Acts.Revoke
		if a.Do == failover.AskPosition {
			ask = s.Acts.Position
		}
		return func(ctx context.Context) (func(*failover.Progress), error) {
			answer, err := ask(ctx, n)
			if a.Do == failover.AskPosition {
				answer.Revoked = true // it receives from a standby that does not
			}
			return func(p *failover.Progress) { p.Answers[n.Index] = answer }, err
		}, nil
	case failover.Promote:
		after, seen := s.herd.Timeline, s.seen
		ran := func() {
			s.post(func() { s.progress.ran = s.progress.ran || s.progress.of.Epoch == epoch })
		}
		return func(ctx context.Context) (func(*failover.Progress), error) {
			promoted, names, err := s.Acts.Promote(ctx, n, after, ran)
			set := syncSet(names, seen, nil)
			promoted.Sync = &set
			return func(p *failover.Progress) { p.Promoted = &promoted }, err
		}, nil
	case failover.Demote:
		certain := false
		return s.towards(a, n, func(ctx context.Context, n, upstream *nodes.Node) (err error) {
			certain, err = s.Acts.HandOver(ctx, n, upstream)
			return err
		}, func(p *failover.Progress) { p.HandedOff, p.Stopped = true, certain })
	case failover.Follow:
		return s.towards(a, n, s.Acts.Follow, func(*failover.Progress) {})
	case failover.Rejoin:
		return s.towards(a, n, s.Acts.Rejoin, func(*failover.Progress) {})
	}
	return nil, fmt.Errorf("%s node %d: pgherd cannot do that", a.Do, a.Node)
}

// towards is an act of a node that another one has a part in.
func (s *Supervisor) towards(a failover.Act, n *nodes.Node, do func(_ context.Context, n, upstream *nodes.Node) error, note func(*failover.Progress)) (run, error) {
	upstream := s.nodeOf(a.Upstream)
	if upstream == nil {
		return nil, fmt.Errorf("%s node %d to node %d: that is not configured", a.Do, a.Node, a.Upstream)
	}
	return func(ctx context.Context) (func(*failover.Progress), error) { return note, do(ctx, n, upstream) }, nil
}
