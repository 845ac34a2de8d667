package worker

import (
	"iter"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/ring"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
)

// task is a session on its worker: the coroutine, and what it waits for. It is the
// session's Loop.
//
// These are the rules for coroutines, each found by breaking it. They are created and
// resumed on the worker's thread only. Only the run loop resumes them. After stop every
// wait returns an error at once. Every coroutine is stopped in the end.
type task struct {
	w       *Worker
	pid     uint32 // among the tasks of its worker
	number  uint32 // the number by which the client is known
	session *session.Session
	client  endpoint
	resume  func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	why     error // what Run has returned

	queued   bool // on the run list
	stopping bool
	over     bool
	deadline time.Time // of the present wait
	alarm    time.Time // in the heap of alarms; zero: it is not there
	place    int       // where in the heap

	cancels []func() // answers to the cancels that the session has been told of and has not sent

	summons []chan session.Target // answers for those that want to signal its client

	want    *want     // the place in the queue; nil: it does not wait
	asked   time.Time // when it took its last place
	granted *pool.Server
	refused error
}

// want is what a waiting session asked for.
type want struct {
	key    pool.Key
	secret any
	since  time.Time
}

// begin makes the coroutine and puts it on the run list.
func (w *Worker) begin(l Login) {
	if w.closing {
		closeSocket(l.Socket)
		return
	}
	t := &task{w: w, pid: w.nextPID()}
	t.number = w.number(t.pid)
	w.logins++
	t.client = w.open(l.Socket, t)
	t.session = session.New(t, w.set.Session, l.Client, t.client, t.number, w.env.Key(l.Protocol))
	t.resume, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		t.why = t.session.Run()
	})
	w.tasks[t.pid] = t
	w.wake(t)
}

// step resumes the session once, and notes the end of its life.
func (w *Worker) step(t *task) {
	t.queued = false
	if t.over {
		return
	}
	if _, alive := t.resume(); !alive {
		w.end(t)
	}
	t.answerCancels()
	t.answerSummons()
}

// end ends a task whose session has returned.
func (w *Worker) end(t *task) {
	t.over = true
	t.stop()
	t.answerCancels()
	t.answerSummons()
	delete(w.tasks, t.pid)
	w.workers.numbers.Give(t.number)
	w.disarm(t)
	w.env.Ended(t.session.View(), t.why)
}

// wake puts t on the run list.
func (w *Worker) wake(t *task) {
	if !t.queued && !t.over {
		t.queued = true
		w.run = append(w.run, t)
	}
}

// Ready is called when something about the client's or the server's connection has
// changed.
func (t *task) Ready(*ring.Conn) { t.w.wake(t) }

func (t *task) Now() time.Time     { return t.w.now }
func (t *task) Nodes() *nodes.View { return t.w.workers.nodes.Load() }

// Template is fresh if the state under which its server logged in has been confirmed
// lately.
func (t *task) Template(k pool.Key) (params []wire.Param, on *pool.Admission, fresh bool) {
	params, on = t.w.workers.templates.Find(k)
	return params, on, params != nil && t.Proved(k.Target(), on)
}

func (t *task) Timeouts(k pool.Key) pool.Timeouts { return t.w.workers.templates.Timeouts(k) }

func (t *task) Wait(deadline time.Time) error {
	if t.stopping {
		return session.ErrStopped
	}
	t.w.arm(t, deadline)
	if !t.yield(struct{}{}) {
		t.stopping = true
		return session.ErrStopped
	}
	return nil
}

func (t *task) Offload(f func()) error {
	done := false
	var panicked any
	t.w.env.Go(func() {
		func() {
			defer func() { panicked = recover() }() // on this goroutine a panic would end the process
			f()
		}()
		t.w.Post(func() {
			done = true
			t.w.wake(t)
		})
	})
	for !done {
		if err := t.Wait(session.Forever); err != nil {
			return err
		}
	}
	if panicked != nil {
		panic(panicked) // on the session's coroutine it ends the session only
	}
	return nil
}

// Checkout uses the worker's own list of idle servers while nobody waits. Otherwise the
// longest waiter comes first, whatever worker it is on.
func (t *task) Checkout(key pool.Key, secret any) *pool.Server {
	w := t.w
	if !w.workers.pressed() {
		if s := w.takeFresh(key); s != nil {
			t.adopt(s)
			w.waits.Add(key, 0)
			return s
		}
	}
	if t.asked = t.asked.Add(1); t.asked.Before(w.now) { // this distinguishes the want from another one in the same turn
		t.asked = w.now
	}
	t.want = &want{key, secret, t.asked}
	t.granted, t.refused = nil, nil
	w.workers.ask(pool.Ticket{Key: key, Worker: w.index, Session: t.pid, Since: t.asked})
	return nil
}

func (t *task) Granted() (*pool.Server, error) {
	s, err := t.granted, t.refused
	t.granted, t.refused = nil, nil
	return s, err
}

func (t *task) Paused(database string) (pool.Pause, bool) { return t.w.workers.Paused(database) }

func (t *task) Withdraw() {
	if s := t.granted; s != nil { // it was granted since the session last looked
		t.granted = nil
		t.Return(s)
	}
	if t.want != nil {
		t.want = nil
		t.w.workers.withdraw(t.w.index, t.pid)
	}
}

func (t *task) Return(s *pool.Server)  { t.w.workers.regains(s, t.w.now); t.w.giveBack(s) }
func (t *task) Discard(s *pool.Server) { t.w.workers.regains(s, t.w.now); t.w.discard(s) }
func (t *task) Abort(s *pool.Server)   { t.w.workers.regains(s, t.w.now); t.w.abort(s) }
func (t *task) Pinned(s *pool.Server)  { t.w.pins.Add(s.Key) }

// adopt makes the session the owner that is told of the server's connection.
func (t *task) adopt(s *pool.Server) {
	s.Endpoint.(endpoint).conn().SetOwner(t)
	t.w.workers.lends(s, t.number, t.w.now)
}

// grant ends the wait that the ticket is for. It is false if the session no longer
// waits, or waits again by another ticket, which would then wait in vain.
func (t *task) grant(ticket pool.Ticket, s *pool.Server, err error) bool {
	if t == nil || t.over || t.want == nil || t.want.key != ticket.Key || !t.want.since.Equal(ticket.Since) {
		return false
	}
	if s != nil {
		t.adopt(s)
		t.w.waits.Add(ticket.Key, t.w.now.Sub(t.want.since))
	}
	t.want, t.granted, t.refused = nil, s, err
	t.w.wake(t)
	return true
}

func (t *task) Proven(key pool.Key, statement string) bool { return t.w.proven.Has(key, statement) }
func (t *task) Prove(key pool.Key, statement string)       { t.w.proven.Add(key, statement) }
