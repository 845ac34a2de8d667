package worker

import (
	"context"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/session"
	"pgherd/proxy/worker/registry"
)

// Cancel hands a cancel request to the session with this number. It returns once
// PostgreSQL has answered, or if there is nothing to cancel.
func (ws *Workers) Cancel(ctx context.Context, pid uint32, key []byte) {
	done := make(chan struct{})
	at, ok := ws.numbers.Find(pid)
	if !ok {
		return
	}
	w := ws.all[at.Worker]
	if !w.Post(func() { w.cancel(at.Session, key, func() { close(done) }) }) {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// cancel is a request that has come on a connection of its own, perhaps before the
// worker has received what the client sent before it.
type cancel struct {
	t     *task
	key   []byte
	done  func()
	turns int // turns of the loop after which that has been received
}

func (w *Worker) cancel(pid uint32, key []byte, done func()) {
	t := w.tasks[pid]
	if t == nil {
		done()
		return
	}
	w.cancels = append(w.cancels, &cancel{t, key, done, w.loop.Round()})
}

// judgeCancels hands cancels to their sessions once what the clients sent before them
// has been received.
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

// answerCancels answers the cancels that need not wait any more.
func (t *task) answerCancels() {
	if len(t.cancels) == 0 || !t.over && t.session.Wishes() {
		return
	}
	for _, done := range t.cancels {
		done()
	}
	t.cancels = nil
}

// Cancel sends all cancels of the session as one. The server was sent something last at that
// time.
func (t *task) Cancel(s *pool.Server, sent time.Time) {
	answers := t.cancels
	t.cancels = nil
	t.w.sendCancel(t, s, sent, func() {
		for _, done := range answers {
			done()
		}
	})
}

// sending is a cancel on its way to the server. It must not overtake the statement that
// it is meant for.
type sending struct {
	t        *task
	s        *pool.Server
	done     func()
	deadline time.Time
	sent     time.Time // when the last of what was sent to the server has left
}

// sendingLimit is how long a cancel waits until its statement has been sent to the
// server.
const sendingLimit = 10 * time.Second

// sendingPoll is how often that is checked.
const sendingPoll = time.Millisecond

// readingTime is how long the server gets to read what it was sent, because PostgreSQL
// ignores a cancel that comes earlier. On a busy machine it may take so long.
const readingTime = 50 * time.Millisecond

// sendCancel makes PostgreSQL stop what the server does for the session.
func (w *Worker) sendCancel(t *task, s *pool.Server, sent time.Time, done func()) {
	w.sending = append(w.sending, sending{t: t, s: s, done: done, deadline: w.now.Add(sendingLimit), sent: sent})
}

// sendCancels sends the cancels whose statements have been read.
func (w *Worker) sendCancels() {
	rest := w.sending[:0]
	for _, c := range w.sending {
		if c.s.Endpoint.Queued() > 0 {
			c.sent = w.now
		}
		if w.now.Sub(c.sent) >= readingTime || w.closing || !w.now.Before(c.deadline) {
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
			t.session.CancelDone(s, err)
			w.wake(t)
		})
	})
}

// aimLimit is how long a signal to a client waits until that client has a server.
const aimLimit = 5 * time.Second

// Client says that the number is a client's and not a process's, which PostgreSQL knows
// itself.
func (t *task) Client(number uint32) bool {
	if number < registry.FirstNumber {
		return false
	}
	_, ok := t.w.workers.numbers.Find(number)
	return ok
}

// Aim makes the client with that number hold its server, or get one, for a signal.
func (t *task) Aim(number uint32) (session.Target, bool) { return t.w.workers.aim(number) }

// aim asks the client's worker, and waits for the answer.
func (ws *Workers) aim(number uint32) (target session.Target, ok bool) {
	at, ok := ws.numbers.Find(number)
	if !ok {
		return target, false
	}
	w, answer := ws.all[at.Worker], make(chan session.Target, 1)
	if !w.Post(func() { w.summon(at.Session, answer) }) {
		return target, false
	}
	select {
	case target, ok = <-answer:
		return target, ok
	case <-time.After(aimLimit):
		go func() { // the answer comes later, or the session ends
			if late, ok := <-answer; ok {
				late.Release(false)
			}
		}()
		return target, false
	}
}

func (w *Worker) summon(id uint32, answer chan session.Target) {
	t := w.tasks[id]
	if t == nil || t.over {
		close(answer)
		return
	}
	t.summons = append(t.summons, answer)
	t.session.Summon()
	w.wake(t)
}

// answerSummons answers once the session has a server, or will never have one.
func (t *task) answerSummons() {
	for len(t.summons) > 0 {
		answer := t.summons[0]
		if t.over {
			close(answer)
			t.summons = t.summons[1:]
			continue
		}
		s, done := t.session.Summoned()
		if !done {
			return
		}
		if t.summons = t.summons[1:]; s == nil {
			close(answer)
		} else {
			answer <- session.Target{Node: s.Key.Node, PID: s.PID, Release: func(ends bool) { t.letGo(s, ends) }}
		}
		if len(t.summons) > 0 {
			t.session.Summon()
		}
	}
}

// endLimit is how long a server may take to end after a signal. It stays with its
// client so long, because the client must be told.
const endLimit = 5 * time.Second

// letGo notes that a signal was sent to the session's server.
func (t *task) letGo(s *pool.Server, ends bool) {
	if ends {
		time.AfterFunc(endLimit, func() { t.letGo(s, false) })
		return
	}
	t.w.Post(func() {
		t.session.SignalDone(s)
		t.w.wake(t)
	})
}

// number chooses one for a session of this worker.
func (w *Worker) number(session uint32) uint32 {
	random := registry.FirstNumber + uint32(w.env.Chance()*(registry.LastNumber-registry.FirstNumber))
	return w.workers.numbers.Take(random, registry.Place{Worker: w.index, Session: session}, w.workers.processes.Known)
}

// Known makes the number of the server, which the client keeps for life, the client's
// own.
func (t *task) Known(number uint32) bool {
	swapped := t.w.workers.numbers.Swap(t.number, number)
	if swapped {
		t.number = number
	}
	return swapped
}

// Notifier is the number of the client whose notification a process of a node has sent.
func (t *task) Notifier(node int, pid uint32) (number uint32, ok bool) {
	return t.w.workers.processes.Notified(node, pid)
}

func (t *task) Holds(node int, pid uint32) bool { return t.w.workers.processes.Has(node, pid) }
