package worker

import (
	"container/heap"
	"time"
)

// alarms is a heap of tasks by their alarm. A task is in it at most once. Moving a
// deadline later costs nothing, because that is found out when the old alarm rings.
type alarms []*task

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].alarm.Before(a[j].alarm) }
func (a alarms) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i, j
}
func (a *alarms) Push(x any) {
	t := x.(*task)
	t.place = len(*a)
	*a = append(*a, t)
}
func (a *alarms) Pop() (x any) {
	last := len(*a) - 1
	x, (*a)[last] = (*a)[last], nil
	*a = (*a)[:last]
	return x
}

// arm wakes t at its deadline, if it has one.
func (w *Worker) arm(t *task, deadline time.Time) {
	t.deadline = deadline
	switch {
	case deadline.IsZero():
	case t.alarm.IsZero():
		t.alarm = deadline
		heap.Push(&w.alarms, t)
	case deadline.Before(t.alarm):
		t.alarm = deadline
		heap.Fix(&w.alarms, t.place)
	}
}

// disarm removes t's alarm, so that nothing refers to a session that is over.
func (w *Worker) disarm(t *task) {
	if !t.alarm.IsZero() {
		heap.Remove(&w.alarms, t.place)
		t.alarm = time.Time{}
	}
}

// ringAlarms wakes the tasks whose deadline has come.
func (w *Worker) ringAlarms() {
	for len(w.alarms) > 0 && !w.alarms[0].alarm.After(w.now) {
		t := w.alarms[0]
		w.disarm(t)
		switch {
		case t.deadline.IsZero():
		case t.deadline.After(w.now):
			w.arm(t, t.deadline)
		default:
			w.wake(t)
		}
	}
}

// patience is how long the worker may sleep.
func (w *Worker) patience() time.Duration {
	if len(w.run)+len(w.cancels) > 0 || w.inbox.some.Load() {
		return 0
	}
	next := w.chores
	if soon := w.now.Add(sendingPoll); len(w.sending) > 0 && soon.Before(next) {
		next = soon
	}
	if len(w.alarms) > 0 && w.alarms[0].alarm.Before(next) {
		next = w.alarms[0].alarm
	}
	return max(0, next.Sub(w.env.Now()))
}
