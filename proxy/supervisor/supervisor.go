// Package supervisor keeps the herd up: it joins what the nodes were seen to be with what
// package failover decides of that, has each decision made to last before anybody acts on
// it, has the acts carried out, and publishes the herd as Views. It decides nothing itself.
//
// One goroutine owns the herd and takes everything in turn; acts run on goroutines of
// their own, and tell it what came of them.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync/atomic"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/health"
	"pgherd/proxy/nodes"
)

// Acts carries out what was decided. Each call blocks, with deadlines of its own.
type Acts interface {
	// Fence returns once no worker has a server of the node any more that was opened in an
	// epoch before this one, nor will get one (I8).
	Fence(ctx context.Context, node int, epoch uint64) error
	Revoke(ctx context.Context, n *nodes.Node) (failover.Answer, error)
	Position(ctx context.Context, n *nodes.Node) (failover.Answer, error)
	// Promote calls ran once no command of an operator's runs any more: the rest is waiting.
	Promote(ctx context.Context, n *nodes.Node, after uint32, ran func()) (p failover.Promoted, sync string, err error)
	Follow(ctx context.Context, n, upstream *nodes.Node) error
	// Rejoin is Follow for a standby that was revoked and whose primary is back: nothing has to be prepared.
	Rejoin(ctx context.Context, n, upstream *nodes.Node) error
	// HandOver waits until no transaction runs on the primary, and stops it once the other
	// node has all. If it fails, the primary goes on. certain says that it is stopped, whatever the network does.
	HandOver(ctx context.Context, n, upstream *nodes.Node) (certain bool, err error)
}

// Settings are what decisions look at beside the herd; values.
type Settings struct {
	Member   string // the name of this pgherd, which does not change
	Failover failover.Settings
	Licensed bool // members write to the primary only while they have a licence of the leader's
}

// Named limits.
const (
	decideEvery  = 500 * time.Millisecond // at least, however little has changed
	fenceLook    = 20 * time.Millisecond  // between two looks whether the other members have fenced
	fenceWait    = time.Second            // for the fence of a member that needs no licence
	actAgain     = 200 * time.Millisecond // before an act that failed is tried again
	seenAgain    = 3 * time.Second        // after one that was done, for the node to be seen as it is now
	switchLook   = 20 * time.Millisecond  // between two looks at a switchover
	proposeLimit = 5 * time.Second        // for a command to be made to last
	mailboxSize  = 64                     // of what goroutines tell
	stepsInARow  = 100                    // commands before everything else has its turn
)

// Supervisor is a running one. Saw, Heard and Configure may be called from any goroutine.
type Supervisor struct {
	Uses
	council Council
	member  string

	mail    chan func()
	lasting chan func() // what the council has made to last
	stop    context.CancelFunc
	stopped chan struct{}
	fence   atomic.Pointer[fence] // of what is in owed

	// What follows is the goroutine's.
	settings Settings
	herd     failover.Herd
	seen     []health.Seen
	seenAt   time.Duration
	reports  map[int]failover.Report // of Patroni's, by node
	progress progress
	leads    bool           // this member has decided last time
	owed     map[int]uint64 // by node: the epoch before which its servers are to be closed here
	hearsay
	undone   string // why the last switchover was given up
	proposed failover.Command
	behind   string // the sights behind what is proposed now
	held     uint64 // the epoch in which Hold keeps transactions from beginning; 0: it does not
	wait     wait
	from     map[int]time.Time // what a node said before that does not count: it was promoted or stopped then
	since    map[int]time.Time
	before   map[int]nodes.Status
}

// Uses are what a supervisor needs of others.
type Uses struct {
	Log     *slog.Logger
	Clock   func() time.Duration // CLOCK_BOOTTIME, or another that is never set
	Date    func() time.Time     // for people
	Acts    Acts
	Publish func(*nodes.View)
	Look    func(node int)                               // has a node probed now
	Changed func(before, next failover.Herd, leads bool) // is told of each command that lasts, and whether this member leads, and may not block; nil: nobody
}

// New makes one that begins with this herd. Its council calls Apply for each command that lasts, before Propose returns.
func New(u Uses, herd failover.Herd) *Supervisor {
	s := &Supervisor{Uses: u, herd: herd, mail: make(chan func(), mailboxSize), lasting: make(chan func()), stopped: make(chan struct{}),
		since: map[int]time.Time{}, from: map[int]time.Time{}, before: map[int]nodes.Status{}, owed: map[int]uint64{}, hearsay: hearsay{map[string]told{}, map[int]bool{}}}
	if herd.Phase == failover.Electing {
		s.owed[herd.Former] = herd.Epoch
	}
	s.noteFence()
	return s
}

// Start joins the council, and runs until Close. The council may call Apply and Restore while it is opened.
func (s *Supervisor) Start(open func() (Council, error), settings Settings) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	s.settings, s.member, s.stop = settings, settings.Member, cancel
	s.progress.enter(ctx, s.herd.Epoch, s.Clock())
	var council Council
	s.meanwhile(func() { council, err = open() })
	if err != nil {
		cancel()
		close(s.stopped)
		return err
	}
	s.council = council
	go s.run(ctx)
	return nil
}

// Close ends it, and what it has begun.
func (s *Supervisor) Close() {
	s.stop()
	<-s.stopped
}

// post has f run on the supervisor's goroutine; false: it has ended.
func (s *Supervisor) post(f func()) bool {
	select {
	case s.mail <- f:
		return true
	case <-s.stopped:
		return false
	}
}

// Saw tells what is known of the nodes now.
func (s *Supervisor) Saw(all []health.Seen) {
	s.post(func() { s.seen, s.seenAt = all, s.Clock() })
}

// Heard tells what Patroni says now, by the node whose Patroni was asked.
func (s *Supervisor) Heard(reports map[int]failover.Report) {
	s.post(func() { s.reports = reports })
}

// Configure replaces the settings.
func (s *Supervisor) Configure(settings Settings) { s.post(func() { s.settings = settings }) }

// Order has a command of an operator's made to last. The command's epoch is set here.
func (s *Supervisor) Order(ctx context.Context, c failover.Command) error {
	err, answered := ask(ctx, s, func() error { c.Epoch = s.herd.Epoch; return s.propose(ctx, c) })
	if answered != nil {
		return fmt.Errorf("order %s: %w", c.Kind, answered)
	}
	return err
}

// Herd is the herd as it is now.
func (s *Supervisor) Herd(ctx context.Context) (failover.Herd, error) {
	h, err := ask(ctx, s, func() failover.Herd { return s.herd })
	if err != nil {
		return h, fmt.Errorf("ask for the herd: %w", err)
	}
	return h, nil
}

var errStopping = errors.New("pgherd is stopping")

// ask has a question answered on the supervisor's goroutine. What was posted as that ended
// gets no answer.
func ask[T any](ctx context.Context, s *Supervisor, question func() T) (answer T, err error) {
	answers := make(chan T, 1)
	if !s.post(func() { answers <- question() }) {
		return answer, errStopping
	}
	select {
	case answer = <-answers:
		return answer, nil
	case <-ctx.Done():
		return answer, ctx.Err()
	case <-s.stopped:
		return answer, errStopping
	}
}

// Switchover makes a standby the primary, and returns once it is, or why it is not.
func (s *Supervisor) Switchover(ctx context.Context, node int, by string) error {
	if err := s.Order(ctx, failover.Command{Kind: failover.DrainTo, Node: node, By: by, Reason: "an operator wants a switchover"}); err != nil {
		return err
	}
	for {
		h, err := s.Herd(ctx)
		switch {
		case err != nil:
			return err
		case h.Phase == failover.Steady && h.Primary == node:
			return nil
		case h.Phase == failover.Steady:
			return fmt.Errorf("switch over to node %d: node %d is the primary still: %s", node, h.Primary, s.whyUndone(ctx))
		}
		select {
		case <-time.After(switchLook):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Supervisor) whyUndone(ctx context.Context) string {
	why, err := ask(ctx, s, func() string { return s.undone })
	if err != nil {
		return err.Error()
	}
	return why
}

// Hold keeps transactions from beginning on the primary until it is told otherwise. A failover ends it as well.
func (s *Supervisor) Hold(ctx context.Context, hold bool) error {
	_, err := ask(ctx, s, func() struct{} {
		s.held = 0
		if hold {
			s.held = s.herd.Epoch
		}
		s.show()
		return struct{}{}
	})
	if err != nil {
		return fmt.Errorf("hold transactions: %w", err)
	}
	return nil
}

// Settle returns once what Saw has told was decided on.
func (s *Supervisor) Settle(ctx context.Context) error {
	for range 2 { // the second question is answered after the decisions that the first came before
		if _, err := s.Herd(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Supervisor) run(ctx context.Context) {
	defer close(s.stopped)
	defer s.progress.end()
	for {
		s.decide(ctx)
		s.tell()
		select {
		case f := <-s.mail:
			f()
		case f := <-s.lasting:
			f()
		case <-time.After(s.pause()):
		case <-ctx.Done():
			return
		}
		for more := true; more; { // what has come meanwhile is decided on together
			select {
			case f := <-s.mail:
				f()
			default:
				more = false
			}
		}
	}
}

// decide takes steps until there is nothing more to do now. Before anything was seen there is
// nothing to decide by, and no address of a node to act on.
func (s *Supervisor) decide(ctx context.Context) {
	for range stepsInARow {
		s.lead()
		s.fenceOff()
		if s.seen == nil || !s.leads || ctx.Err() != nil {
			break
		}
		in := s.input()
		step := failover.Decide(s.herd, in, s.settings.Failover)
		if step.Propose == nil { // else nothing is known yet of what it waits for
			s.say(step.Waits)
		}
		for _, a := range step.Acts {
			s.carryOut(a)
		}
		if step.Propose == nil {
			break
		}
		s.behind = failover.Describe(&in)
		err := s.propose(ctx, *step.Propose)
		s.behind = ""
		if err != nil {
			s.Log.Error("decision is not made to last, and not carried out", "decision", step.Propose.String(), "error", err)
			break
		}
	}
	s.show()
}

// sights are what is seen of the nodes now.
func (s *Supervisor) sights(now time.Duration) map[int]failover.Sight {
	return sights(s.seen, now-s.seenAt, now, s.Date(), s.from)
}

// wait is what the herd waits for.
type wait struct {
	what  string // without numbers
	since time.Duration
	told  bool // the log was
}

// waitTold is how long a wait lasts before the log is told: a start, a promotion and a
// switchover have waits of their own, which end by themselves.
const waitTold = 2 * time.Second

// say tells the log what the herd waits for, once.
func (s *Supervisor) say(waits string) {
	now, what := s.Clock(), numbers.ReplaceAllString(waits, "")
	if what != s.wait.what {
		s.wait = wait{what: what, since: now}
	}
	if what != "" && !s.wait.told && now-s.wait.since >= waitTold {
		s.Log.Warn("the herd waits", "for", waits)
		s.wait.told = true
	}
}

// numbers are what differs between two moments of the same wait.
var numbers = regexp.MustCompile(`[0-9.]+(s|ms|m|h)?`)

// propose has a command made to last. What lasts meanwhile is taken up, which is this command as well.
func (s *Supervisor) propose(ctx context.Context, c failover.Command) (err error) {
	ctx, cancel := context.WithTimeout(ctx, proposeLimit)
	defer cancel()
	c.At = s.Date().UTC().Format(time.RFC3339)
	if _, err := failover.Apply(s.herd, c); err != nil {
		return err
	}
	s.proposed = c
	s.meanwhile(func() { err = s.council.Propose(ctx, c) })
	return err
}

// Apply takes up a command that lasts. The council calls it, for one command at a time, and not on the supervisor's goroutine.
func (s *Supervisor) Apply(c failover.Command) (err error) {
	if ended := s.take(func() { err = s.apply(c) }); ended != nil {
		return ended
	}
	return err
}

func (s *Supervisor) apply(c failover.Command) error {
	next, err := failover.Apply(s.herd, c)
	if err != nil {
		return err
	}
	before := s.herd
	s.herd = next
	if c.Kind == failover.FailNode { // each member closes its servers, whoever leads
		s.owed[next.Former] = next.Epoch
	}
	s.noteFence()
	promoted := c.Kind == failover.MakePrimary && before.Phase == failover.Promoting
	stopped := c.Kind == failover.FailNode && before.Phase == failover.Draining // else it would seem to be back already
	if promoted || stopped {
		s.from[c.Node] = s.Date()
		s.Look(c.Node)
	}
	switch {
	case next.Epoch != before.Epoch:
		s.progress.enter(context.Background(), next.Epoch, s.Clock())
	case next.Phase != before.Phase:
		s.progress.began = s.Clock()
	}
	if c.Kind == failover.UndoDrain {
		s.undone = c.Reason
	}
	s.logCommand(&c)
	s.show()
	if s.Changed != nil {
		s.Changed(before, next, s.council != nil && s.council.Leads())
	}
	return nil
}

func (s *Supervisor) logCommand(c *failover.Command) {
	what := []any{"epoch", s.herd.Epoch, "phase", string(s.herd.Phase), "reason", c.Reason}
	if p := &s.proposed; s.behind != "" && c.Kind == p.Kind && c.Node == p.Node && c.Epoch == p.Epoch {
		what = append(what, "detail", "seen of the nodes: "+s.behind)
	}
	s.Log.Info("herd: "+c.String(), what...)
}

// show publishes what is believed of the nodes now.
func (s *Supervisor) show() {
	if s.seen == nil {
		return
	}
	view := viewOf(&s.herd, failover.Seen(s.herd, s.sights(s.Clock()), s.settings.Failover), s.seen)
	for i := range view.Nodes {
		n := &view.Nodes[i]
		if before, known := s.before[n.Index]; !known || before != n.Status {
			s.before[n.Index], s.since[n.Index] = n.Status, s.Date()
		}
		n.Since = s.since[n.Index]
	}
	view.Draining = view.Draining || s.held != 0 && s.held == s.herd.Epoch
	s.Publish(view)
}

// nodeOf is a node that was seen.
func (s *Supervisor) nodeOf(index int) *nodes.Node {
	for i := range s.seen {
		if s.seen[i].Index == index {
			n := s.seen[i].Node.Node
			return &n
		}
	}
	return nil
}
