package worker

import (
	"time"

	"pgherd/proxy/session"
)

// aimLimit is how long a signal to a client waits for that to have a server.
const aimLimit = 5 * time.Second

// Client says that a client is known by the number, and no process: PostgreSQL knows
// the others itself.
func (t *task) Client(number uint32) bool {
	if number < firstNumber {
		return false
	}
	_, ok := t.w.workers.numbers.find(number)
	return ok
}

// Aim has the client of that number hold its server, or get one, for a signal.
func (t *task) Aim(number uint32) (session.Target, bool) { return t.w.workers.aim(number) }

// aim asks the client's worker, and waits.
func (ws *Workers) aim(number uint32) (target session.Target, ok bool) {
	at, ok := ws.numbers.find(number)
	if !ok {
		return target, false
	}
	w, answer := ws.all[at.worker], make(chan session.Target, 1)
	if !w.Post(func() { w.summon(at.session, answer) }) {
		return target, false
	}
	select {
	case target, ok = <-answer:
		return target, ok
	case <-time.After(aimLimit):
		go func() { // it comes, or the session ends
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

// answerSummons answers once the session has a server, or will have none.
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
			answer <- session.Target{Node: s.Key.Node, PID: s.PID, Release: t.letGo}
		}
		if len(t.summons) > 0 {
			t.session.Summon()
		}
	}
}

// endLimit is how long a server may take to end after the signal for it: so long it
// stays with the client, which is to hear of it.
const endLimit = 5 * time.Second

// letGo: a signal was sent to the session's server.
func (t *task) letGo(ends bool) {
	if ends {
		time.AfterFunc(endLimit, func() { t.letGo(false) })
		return
	}
	t.w.Post(func() {
		t.session.CancelDone(nil)
		t.w.wake(t)
	})
}
