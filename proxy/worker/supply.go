package worker

import (
	"context"
	"slices"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/ring"
	"pgherd/proxy/wire"
	"pgherd/proxy/worker/registry"
)

// Connector opens connections to PostgreSQL, on goroutines, with deadlines of
// its own.
type Connector interface {
	// Open logs in to a node. A *wire.Fault is meant for the client.
	Open(ctx context.Context, key pool.Key, secret any) (Opened, error)
	// Cancel asks a node to cancel what a server is doing and returns once
	// the node has closed that request's connection (I10).
	Cancel(ctx context.Context, node int, pid uint32, key []byte) error
	// Secret finds the stored credentials of a user.
	Secret(user string) (secret any, ok bool)
}

// carryOut does what the allocator has decided.
func (w *Worker) carryOut(a pool.Action) {
	switch a.Deed {
	case pool.Open:
		w.openServer(a.Ticket)
	case pool.Move:
		w.moveServer(a.Ticket)
	case pool.Evict:
		w.evict(a.Ticket.Key)
	}
}

// evict closes the server of the key that has been idle longest.
func (w *Worker) evict(key pool.Key) {
	if s := w.idle.Oldest(key); s != nil {
		w.idle.Remove(s)
		w.discard(s)
	} else {
		w.workers.kept(key)
	}
}

// openServer starts a connector for the ticket.
func (w *Worker) openServer(ticket pool.Ticket) {
	var secret any
	if ticket.Session == 0 {
		secret, _ = w.env.Connect.Secret(ticket.Key.Target().User)
	} else if t := w.tasks[ticket.Session]; t != nil && t.want != nil && t.want.key == ticket.Key {
		secret = t.want.secret
	} else {
		w.workers.gone(ticket.Key)
		return
	}
	at, epoch := w.asks(), w.workers.nodes.Load().Epoch
	ctx, giveUp := context.WithCancel(w.workers.life)
	begun := &opening{ticket.Key.Node, epoch, giveUp}
	w.opening = append(w.opening, begun)
	w.env.Go(func() {
		defer giveUp()
		opened, err := w.env.Connect.Open(ctx, ticket.Key, secret)
		if !w.Post(func() { w.opened(begun, ticket, at, opened, err) }) && err == nil {
			closeSocket(opened.Socket)
		}
	})
}

// opening is a server that is being opened.
type opening struct {
	node   int
	epoch  uint64 // in which that began
	giveUp context.CancelFunc
}

// opened takes the result of a connector.
func (w *Worker) opened(begun *opening, ticket pool.Ticket, at registry.Asking, o Opened, err error) {
	w.opening = slices.DeleteFunc(w.opening, func(other *opening) bool { return other == begun })
	epoch := begun.epoch
	switch stale := w.workers.stale(ticket.Key.Node, epoch); {
	case stale && err == nil:
		closeSocket(o.Socket)
		fallthrough
	case stale:
		err = pool.Unused{Node: ticket.Key.Node}
	case err != nil:
		w.suspect(ticket.Key.Node, err)
	}
	if err != nil {
		w.workers.gone(ticket.Key)
		if !w.tasks[ticket.Session].grant(ticket, nil, err) && ticket.Session == 0 {
			w.env.Log.Warn("open server for min_pool_size", "error", err)
		}
		return
	}
	s := &pool.Server{Key: ticket.Key, Epoch: epoch, PID: o.PID, CancelKey: o.CancelKey, Params: o.Params, Opened: at.Began, Timeouts: o.Timeouts, Settings: o.Settings}
	if w.set.Lifetime > 0 {
		s.Expires = w.now.Add(w.env.Jitter(w.set.Lifetime))
	}
	w.admit(s, o.Finding, at)
	s.Params = w.workers.templates.Learn(s)
	w.workers.processes.Opened(s)
	w.receive(o.Socket, s, ticket)
}

// receive puts a server's socket on this ring and hands the server to the session that
// waits for it.
func (w *Worker) receive(socket Socket, s *pool.Server, ticket pool.Ticket) {
	s.Endpoint = w.open(socket, &idle{w, s})
	if w.workers.stale(s.Key.Node, s.Epoch) { // it was on its way from another worker
		w.discard(s)
		w.missed(ticket)
		return
	}
	if !w.tasks[ticket.Session].grant(ticket, s, nil) {
		w.giveBack(s)
	}
}

// giveBack puts a server in the list of idle servers, or closes it when it is too old.
func (w *Worker) giveBack(s *pool.Server) {
	_, paused := w.workers.Paused(s.Key.Target().Database)
	if w.tooOld(s) || !kept(s.Key) || w.closing || paused {
		w.discard(s)
		return
	}
	owner := &idle{w, s}
	s.Endpoint.(endpoint).conn().SetOwner(owner)
	w.idle.Put(s, w.now)
	w.suspects = append(w.suspects, owner) // to check what it has said before
	if w.workers.pressed() {
		w.workers.spare(s.Key, w.index)
	}
}

// kept says that idle servers of the pool are kept. Servers for replication are not,
// and neither are those of the databases that PostgreSQL copies, to which nobody else
// may be connected then.
func kept(key pool.Key) bool {
	target := key.Target()
	return !target.Replication && target.Database != "template0" && target.Database != "template1"
}

// tooOld says that no further session may get the server. A server that became too old
// on its way to a session still serves that session.
func (w *Worker) tooOld(s *pool.Server) bool {
	return s.Expired(w.now) || w.workers.stale(s.Key.Node, s.Epoch) || w.workers.allocator.Renewals.Outdated(s) || s.Admission.Over()
}

// discard closes a server and frees its place.
func (w *Worker) discard(s *pool.Server) {
	s.Endpoint.Close()
	w.workers.leaves(s)
}

// takeFresh takes a server from the list of idle servers, and closes those that are too
// old.
func (w *Worker) takeFresh(key pool.Key) *pool.Server {
	for s := w.idle.Take(key); s != nil; s = w.idle.Take(key) {
		if !w.tooOld(s) {
			return s
		}
		w.discard(s)
	}
	return nil
}

// moveServer hands an idle server to a waiter, perhaps on another worker.
func (w *Worker) moveServer(ticket pool.Ticket) {
	s := w.takeFresh(ticket.Key)
	switch {
	case s == nil:
		w.missed(ticket)
	case ticket.Worker != w.index:
		m := &mover{w, s, ticket}
		c := s.Endpoint.(endpoint).conn()
		c.SetOwner(m)
		c.Detach()
		m.Ready(c)
	case !w.tasks[ticket.Session].grant(ticket, s, nil):
		w.giveBack(s)
	}
}

// missed reports that the server which the ticket was to get is gone. Only the
// session's own worker knows whether the session still waits by this ticket. What that
// worker then tells the allocator stays in order with a Withdraw that may follow.
func (w *Worker) missed(ticket pool.Ticket) {
	its := w.workers.all[ticket.Worker]
	its.Post(func() {
		if t := its.tasks[ticket.Session]; t != nil && t.want != nil && t.want.key == ticket.Key && t.want.since.Equal(ticket.Since) {
			its.workers.askAgain(ticket)
		}
	})
}

// mover owns a server that is leaving this ring for another worker's.
type mover struct {
	w      *Worker
	s      *pool.Server
	ticket pool.Ticket
}

func (m *mover) Ready(c *ring.Conn) {
	if c.Ended() != nil {
		m.w.discard(m.s)
		m.w.missed(m.ticket)
		return
	}
	fd, ok := c.Detached()
	if !ok {
		return
	}
	socket, target := m.s.Endpoint.(endpoint).move(fd), m.w.workers.all[m.ticket.Worker]
	if !m.w.quiet(m.s) || !target.Post(func() { target.receive(socket, m.s, m.ticket) }) {
		closeSocket(socket)
		m.w.workers.leaves(m.s)
		m.w.missed(m.ticket)
	}
}

// idle watches a server in the list of idle servers.
type idle struct {
	w *Worker
	s *pool.Server
}

func (i *idle) Ready(*ring.Conn) { i.w.suspects = append(i.w.suspects, i) }

// lookAtSuspects reads what idle servers have sent. A server that has ended, or sends
// what an idle server does not send, is closed before any session gets it.
func (w *Worker) lookAtSuspects() {
	for _, i := range w.suspects {
		if w.idle.Has(i.s) && !w.quiet(i.s) {
			if i.s.Endpoint.Ended() != nil {
				w.suspect(i.s.Key.Node, i.s.Endpoint.Ended())
			}
			w.idle.Remove(i.s)
			w.discard(i.s)
		}
	}
	w.suspects = w.suspects[:0]
}

// quiet says that an idle server has sent nothing except what it may send unasked: a
// parameter or a notice.
func (w *Worker) quiet(s *pool.Server) bool {
	cut := wire.CutReplies()
	for chunk := s.Endpoint.Take(); chunk != nil; chunk = s.Endpoint.Take() {
		ok := readUnsolicited(s, &cut, chunk.Bytes())
		chunk.Release()
		if !ok {
			return false
		}
	}
	return cut.Between() && s.Endpoint.Ended() == nil
}

func readUnsolicited(s *pool.Server, cut *wire.Cutter, p []byte) bool {
	for len(p) > 0 {
		m, rest, err := cut.Next(p)
		p = rest
		switch {
		case err != nil:
			return false
		case len(m.Bytes) == 0 || m.Kind == wire.NoticeResponse:
		case m.Kind == wire.ParameterStatus && m.First && m.Last:
			if v, err := wire.ViewParameterStatus(m.Body()); err == nil {
				s.SetParam(string(v.Name), string(v.Value))
			}
		default:
			return false
		}
	}
	return true
}

// choresEvery is how often the worker looks for servers to close or to open.
const choresEvery = time.Second

// doChores closes servers that are too old or were idle too long, and opens those that
// a minimum size asks for.
func (w *Worker) doChores() {
	if w.now.Before(w.chores) {
		return
	}
	w.chores = w.now.Add(choresEvery)
	w.closeAborted()
	var since time.Time
	if w.set.IdleTimeout > 0 {
		since = w.now.Add(-w.set.IdleTimeout)
	}
	for _, s := range w.idle.Due(w.now, since) {
		if s.Expired(w.now) {
			w.idle.Remove(s)
			w.discard(s)
		} else {
			w.workers.shrink(s.Key, w)
		}
	}
	if w.index == 0 {
		w.workers.tick(w.now)
		w.workers.refill()
	}
}
