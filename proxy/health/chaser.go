package health

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"pgherd/proxy/nodes"
)

// Limits of polling the nodes' positions.
const (
	chasePause   = 3 * time.Millisecond   // between two questions to a node
	chaseLinger  = 200 * time.Millisecond // how long polling goes on after the last Want
	chaseIdle    = 10 * time.Second       // after which an unused connection is closed
	chaseTimeout = time.Second            // for one answer
	chaseRetry   = 100 * time.Millisecond // pause after a failure
)

// Line is a connection to a node that is kept for polling its position.
type Line interface {
	// Position is what a standby has replayed, or a primary has inserted.
	Position(ctx context.Context) (role nodes.Role, lsn uint64, err error)
	Close()
}

// Call opens a Line. It returns by the context's deadline.
type Call func(ctx context.Context, n *nodes.Node) (Line, error)

// Chaser polls the nodes' positions every few milliseconds while somebody waits for
// them: what the standbys have replayed, and what the primary has inserted. Whoever
// waits says so by Want. It has one goroutine for each node, and a connection while it
// polls.
type Chaser struct {
	log   *slog.Logger
	now   func() time.Time
	role  func(node int) nodes.Role
	found func(node int, lsn uint64, at time.Time)
	began time.Time
	until atomic.Int64                    // polling goes on until then; in time since began
	wakes atomic.Pointer[[]chan struct{}] // of each goroutine; never changed once stored

	lock    sync.Mutex // guards what follows
	cancel  context.CancelFunc
	chasing sync.WaitGroup
}

// NewChaser makes a chaser; Configure starts it. role is the role that a node is
// believed to have: the position of a node that says it has another role counts as
// unknown, and a node without a known role is not asked. found is called with each
// position, and when it was asked for; lsn 0 means that it is not known. Both are
// called on several goroutines.
func NewChaser(log *slog.Logger, now func() time.Time, role func(node int) nodes.Role, found func(node int, lsn uint64, at time.Time)) *Chaser {
	c := &Chaser{log: log, now: now, role: role, found: found, began: now()}
	c.wakes.Store(&[]chan struct{}{})
	return c
}

// Want says that somebody waits for a standby now. It is called again while that lasts;
// it is cheap, and any thread may call it.
func (c *Chaser) Want() {
	c.until.Store(int64(c.now().Sub(c.began) + chaseLinger))
	for _, wake := range *c.wakes.Load() {
		select {
		case wake <- struct{}{}:
		default: // the goroutine is awake, or about to be
		}
	}
}

func (c *Chaser) wanted() bool { return int64(c.now().Sub(c.began)) < c.until.Load() }

// Configure begins, or goes on, with these settings.
func (c *Chaser) Configure(s *Settings) {
	c.Close()
	c.lock.Lock()
	defer c.lock.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	wakes := []chan struct{}{}
	if s.Call != nil {
		for i := range s.Nodes {
			one := &chase{c: c, settings: s, node: &s.Nodes[i].Node}
			wake := make(chan struct{}, 1)
			wakes = append(wakes, wake)
			c.chasing.Go(func() { one.live(ctx, wake) })
		}
	}
	c.wakes.Store(&wakes)
}

// Close ends the polling; once it returns, found is not called any more.
func (c *Chaser) Close() {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.cancel != nil {
		c.cancel()
		c.chasing.Wait()
	}
}

// chase polls one node, on a goroutine of its own.
type chase struct {
	c        *Chaser
	settings *Settings
	node     *nodes.Node
	line     Line // nil if there is none
	failing  bool // a failure has been logged
}

// live waits until somebody wants positions, and then polls.
func (h *chase) live(ctx context.Context, wake <-chan struct{}) {
	defer h.hangUp()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-time.After(chaseIdle):
			h.hangUp()
		}
		for h.c.wanted() && ctx.Err() == nil {
			pause(ctx, h.ask(ctx))
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// ask asks once, reports the answer, and returns when to ask again.
func (h *chase) ask(ctx context.Context) time.Duration {
	if h.c.role(h.node.Index) == nodes.Unknown {
		return chaseRetry
	}
	at := h.c.now()
	lsn, err := h.position(ctx)
	if ctx.Err() != nil {
		return 0
	}
	h.c.found(h.node.Index, lsn, at)
	if err == nil {
		h.failing = false
		return chasePause
	}
	if !h.failing {
		h.c.log.Warn("ask node for its position", "node", h.node.Index, "error", err)
	}
	h.failing = true
	h.hangUp()
	return chaseRetry
}

func (h *chase) position(ctx context.Context) (lsn uint64, err error) {
	if h.line == nil {
		limited, cancel := context.WithTimeout(ctx, h.settings.Timeout)
		defer cancel()
		if h.line, err = h.settings.Call(limited, h.node); err != nil {
			h.line = nil
			return 0, err
		}
	}
	limited, cancel := context.WithTimeout(ctx, chaseTimeout)
	defer cancel()
	role, lsn, err := h.line.Position(limited)
	if err != nil || role != h.c.role(h.node.Index) {
		return 0, err
	}
	return lsn, nil
}

func (h *chase) hangUp() {
	if h.line != nil {
		h.line.Close()
		h.line = nil
	}
}
