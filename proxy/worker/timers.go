package worker

import (
	"container/heap"
	"time"
)

// alarm is an entry of the heap. A task has at most one that counts: moving a
// deadline later costs nothing, the old alarm finds out when it rings.
type alarm struct {
	at   time.Time
	task *task
}

type alarms []alarm

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a alarms) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *alarms) Push(x any)        { *a = append(*a, x.(alarm)) }
func (a *alarms) Pop() (x any) {
	last := len(*a) - 1
	x, (*a)[last] = (*a)[last], alarm{}
	*a = (*a)[:last]
	return x
}

// arm wakes t at its deadline, if it has one.
func (w *Worker) arm(t *task, deadline time.Time) {
	t.deadline = deadline
	if !deadline.IsZero() && (t.alarm.IsZero() || deadline.Before(t.alarm)) {
		t.alarm = deadline
		heap.Push(&w.alarms, alarm{deadline, t})
	}
}

// ring wakes the tasks whose deadline has come.
func (w *Worker) ringAlarms() {
	for len(w.alarms) > 0 && !w.alarms[0].at.After(w.now) {
		a := heap.Pop(&w.alarms).(alarm)
		if !a.at.Equal(a.task.alarm) {
			continue // a nearer one has replaced it
		}
		a.task.alarm = time.Time{}
		switch deadline := a.task.deadline; {
		case deadline.IsZero() || a.task.over:
		case deadline.After(w.now):
			w.arm(a.task, deadline)
		default:
			w.wake(a.task)
		}
	}
}

// patience is how long the worker may sleep.
func (w *Worker) patience() time.Duration {
	if len(w.run) > 0 || w.inbox.some.Load() {
		return 0
	}
	next := w.chores
	if len(w.alarms) > 0 && w.alarms[0].at.Before(next) {
		next = w.alarms[0].at
	}
	return max(0, next.Sub(w.env.Now()))
}
