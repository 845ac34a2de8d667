// Package worker is one locked thread with one ring, and everything that it owns: its
// sessions, their timers, its list of idle servers, its inbox. Other threads talk to it
// by Post. Workers are all workers of the process.
package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/ring"
	"pgherd/proxy/route"
	"pgherd/proxy/session"
	"pgherd/proxy/worker/registry"
	"pgherd/proxy/worker/thread"
)

// Settings of a worker are values, which a reload replaces as a whole.
type Settings struct {
	Session     *session.Settings
	Limits      pool.Limits
	MinPool     int           // how many servers are kept in each pool
	IdleTimeout time.Duration // of a server in the list of idle servers; 0: none
	Lifetime    time.Duration // of a server; 0: none
}

// Environment is what workers need of the world around them; tests provide another one.
type Environment struct {
	Connect       Connector
	Log           *slog.Logger
	Now           func() time.Time
	BootTime      func() time.Duration              // CLOCK_BOOTTIME, by which licences end
	Go            func(f func())                    // runs f off the worker's thread
	Key           func(protocol uint32) []byte      // a new cancel key
	Jitter        func(time.Duration) time.Duration // a life time with some random variation
	Ended         func(v session.View, why error)   // called when a session is over
	Failed        func(error)                       // called when a worker cannot go on, and the process should end
	Chance        func() float64                    // a random number from 0 up to 1
	PollPositions func()                            // called when a session waits for a standby to catch up
	Suspect       func(node int, shutdown bool)     // a node may be gone; shutdown: it said so. nil: nobody wants to know
	Doubted       func()                            // called when what log-ins depend on may have changed; may be nil
}

// Worker is the work of one thread. All its methods except Post are called on that
// thread.
type Worker struct {
	workers *Workers
	index   int
	env     *Environment
	set     *Settings
	loop    *ring.Loop
	inbox   inbox

	now        time.Time // when the turn began
	unlicensed bool      // in this turn nothing is sent to the primary
	tasks      map[uint32]*task
	candidates []route.Candidate // of the last choice
	run        []*task           // to be resumed
	spareRun   []*task           // the other half of run: the two lists swap
	alarms     alarms
	chores     time.Time // when the chores are next due
	idle       *pool.IdleList
	proven     registry.Proven
	tally
	pending
	lastPID uint32
	thread  int          // its number
	asked   ring.Feature // of the scheduler
	closing bool         // no session and no server is to be kept
	over    bool
	closed  chan struct{} // closed when over
}

// tally is what a worker counts.
type tally struct {
	waits  registry.Waits
	pins   registry.Pins
	sent   [nodes.MaxIndex + 1]metrics.Statements // by node
	logins uint64                                 // clients it has had
}

// pending is what a worker has begun, and goes on with in a later turn.
type pending struct {
	suspects  []*idle    // idle servers that may have sent something
	opening   []*opening // servers that are being opened
	aborting  []*aborted // servers that are being ended
	sending   []sending  // cancels that wait until their statements have been sent
	cancels   []*cancel  // cancels that wait until what their clients sent before them has been received
	gathering []*secure  // endpoints with something to encrypt
}

// NewWorkers makes the workers of a process, without their loops.
func NewWorkers(count int, env *Environment, set *Settings, view *nodes.View) *Workers {
	ws := &Workers{allocator: pool.NewAllocator(set.Limits), began: env.Now()}
	ws.License(Forever)
	ws.life, ws.end = context.WithCancel(context.Background())
	ws.nodes.Store(view)
	ws.gap(view.Headless())
	for i := range count {
		ws.all = append(ws.all, &Worker{
			workers: ws, index: i, env: env, set: set, tasks: map[uint32]*task{},
			idle: pool.NewIdleList(), tally: tally{waits: registry.Waits{}, pins: registry.Pins{}}, closed: make(chan struct{}),
		})
	}
	return ws
}

// Live makes the worker's loop and turns it until Stop, on a locked thread. ready gets
// the error if the loop cannot be made.
func (w *Worker) Live(loop func() (*ring.Loop, error), ready chan<- error) {
	defer thread.Lock()()
	l, err := loop()
	if err != nil {
		ready <- err
		return
	}
	w.Begin(l)
	w.asked = thread.AskForSlice()
	ready <- nil
	for !w.Over() {
		if err := w.Turn(w.patience()); err != nil {
			w.env.Failed(fmt.Errorf("turn ring of worker %d: %w", w.index, err))
			w.shut()
		}
	}
}

// Begin gives the worker its loop.
func (w *Worker) Begin(l *ring.Loop) {
	w.loop, w.now, w.thread = l, w.env.Now(), unix.Gettid()
	w.chores = w.now.Add(choresEvery)
}

// Over says that the worker has closed.
func (w *Worker) Over() bool { return w.over }

// Post makes the worker call message on its thread, soon. Any thread may call it. It is
// false if the worker has closed.
func (w *Worker) Post(message func()) bool {
	return w.inbox.put(message, w.loop.Wake)
}

// Adopt gives the worker a client that has logged in.
func (w *Worker) Adopt(l Login) {
	if !w.Post(func() { w.begin(l) }) {
		closeSocket(l.Socket)
	}
}

// Turn is one round: wait for I/O, read the inbox, look at the clock, and resume the
// sessions for which something has changed.
func (w *Worker) Turn(wait time.Duration) error {
	for _, e := range w.gathering {
		e.flush()
	}
	w.gathering = w.gathering[:0]
	if err := w.loop.Turn(wait); err != nil {
		return err
	}
	w.now = w.env.Now()
	w.lookAtLicence()
	w.lookAtSuspects()
	w.sendCancels()
	w.judgeCancels()
	for _, message := range w.inbox.take() {
		message()
	}
	w.ringAlarms()
	w.doChores()
	w.run, w.spareRun = w.spareRun[:0], w.run
	for _, t := range w.spareRun {
		w.step(t)
	}
	clear(w.spareRun)
	if w.closing && len(w.tasks) == 0 {
		w.shut()
	}
	return nil
}

// Stop ends every session at once and closes the worker.
func (w *Worker) Stop() {
	w.Post(func() {
		w.closing = true
		for _, t := range w.tasks {
			t.stop()
			w.end(t)
		}
		for _, s := range w.idle.All() {
			w.idle.Remove(s)
			w.discard(s)
		}
	})
}

// shut closes the ring. Nothing can be posted any more.
func (w *Worker) shut() {
	if w.over {
		return
	}
	w.over, w.closing = true, true
	w.inbox.close()
	for _, message := range w.inbox.take() {
		message() // so that sockets on their way are not lost
	}
	w.loop.Close()
	close(w.closed)
}

// nextPID returns a number that no other live session has, on any worker.
func (w *Worker) nextPID() uint32 {
	n := uint32(len(w.workers.all))
	for {
		w.lastPID = (w.lastPID + 1) % (1<<31/n - 1)
		pid := (w.lastPID+1)*n + uint32(w.index)
		if w.tasks[pid] == nil {
			return pid
		}
	}
}

func closeSocket(s Socket) { _ = unix.Close(s.FD) }
