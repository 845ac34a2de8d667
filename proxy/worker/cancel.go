package worker

import (
	"context"
	"time"

	"pgherd/proxy/pool"
)

// Cancel hands a cancel request to the session with this number. It returns
// once PostgreSQL has answered, or there is nothing to cancel.
func (ws *Workers) Cancel(ctx context.Context, pid uint32, key []byte) {
	done := make(chan struct{})
	at, ok := ws.numbers.find(pid)
	if !ok {
		return
	}
	w := ws.all[at.worker]
	if !w.Post(func() { w.cancel(at.session, key, func() { close(done) }) }) {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// cancel is a request that has come on a connection of its own, maybe before the
// worker has received what the client sent first.
type cancel struct {
	t     *task
	key   []byte
	done  func()
	turns int // of the loop, after which that is received
}

func (w *Worker) cancel(pid uint32, key []byte, done func()) {
	t := w.tasks[pid]
	if t == nil {
		done()
		return
	}
	w.cancels = append(w.cancels, &cancel{t, key, done, w.loop.Round()})
}

// judgeCancels gives the sessions the cancels that are for what is received now.
func (w *Worker) judgeCancels() {
	early := w.cancels[:0]
	for _, c := range w.cancels {
		if c.turns--; c.turns > 0 {
			early = append(early, c)
			continue
		}
		if c.t.over || !c.t.session.Cancel(c.key) {
			c.done()
			continue
		}
		c.t.cancels = append(c.t.cancels, c.done)
		w.wake(c.t)
	}
	clear(w.cancels[len(early):])
	w.cancels = early
}

// answerCancels answers the cancels that have nothing more to wait for.
func (t *task) answerCancels() {
	if len(t.cancels) == 0 || !t.over && t.session.Wishes() {
		return
	}
	for _, done := range t.cancels {
		done()
	}
	t.cancels = nil
}

// Cancel sends the session's cancels, however many there are, as one.
func (t *task) Cancel(s *pool.Server) {
	answers := t.cancels
	t.cancels = nil
	t.w.sendCancel(t, s, func() {
		for _, done := range answers {
			done()
		}
	})
}

// sending is a cancel that must not overtake what it is for, on its way to the server.
type sending struct {
	t        *task
	s        *pool.Server
	done     func()
	deadline time.Time
	sent     time.Time // when nothing was left to be sent; zero: something is
}

// sendingLimit is how long a cancel waits for the server to be sent what it is for.
const sendingLimit = 10 * time.Second

// sendingPoll is how often it looks.
const sendingPoll = time.Millisecond

// readingTime is what the server gets to read what it was sent: PostgreSQL ignores a
// cancel that comes before it has.
const readingTime = 5 * time.Millisecond

// sendCancel has PostgreSQL stop what the server does for the session.
func (w *Worker) sendCancel(t *task, s *pool.Server, done func()) {
	w.sending = append(w.sending, sending{t: t, s: s, done: done, deadline: w.now.Add(sendingLimit)})
}

// sendCancels sends those whose statements are sent.
func (w *Worker) sendCancels() {
	rest := w.sending[:0]
	for _, c := range w.sending {
		if c.sent.IsZero() && c.s.Endpoint.Queued() == 0 {
			c.sent = w.now
		}
		if read := !c.sent.IsZero() && w.now.Sub(c.sent) >= readingTime; read || w.closing || !w.now.Before(c.deadline) {
			w.goCancel(c.t, c.s, c.done)
		} else {
			rest = append(rest, c)
		}
	}
	clear(w.sending[len(rest):])
	w.sending = rest
}

func (w *Worker) goCancel(t *task, s *pool.Server, done func()) {
	w.env.Go(func() {
		defer done()
		err := w.env.Connect.Cancel(w.workers.life, s.Key.Node, s.PID, s.CancelKey)
		if err != nil {
			w.env.Log.Warn("forward cancel request", "node", s.Key.Node, "error", err)
		}
		w.Post(func() {
			t.session.CancelDone(err)
			w.wake(t)
		})
	})
}
