package worker

import "sync"

// numbers are those by which clients are known to themselves and to others, of all
// workers. They change when a client comes and goes, and are asked by cancels and
// signals: never on the way of a query.
type numbers struct {
	mutex sync.Mutex
	of    map[uint32]place
}

// place is where a session lives.
type place struct {
	worker  int
	session uint32
}

// firstNumber is above all numbers that Linux gives to processes: no process of a node
// has the number of a client, and hardly ever has a client of another pgherd.
const (
	firstNumber = 1 << 22
	lastNumber  = 1<<31 - 1 // it is positive as an int32
)

// take gives a session the number, or, if that is another's, the next that is free.
func (n *numbers) take(number uint32, at place, used func(uint32) bool) uint32 {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for n.taken(number) || used(number) {
		if number++; number > lastNumber {
			number = firstNumber
		}
	}
	n.put(number, at)
	return number
}

// swap gives a session another number for its own; false: that is another's.
func (n *numbers) swap(old, number uint32) bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.taken(number) {
		return false
	}
	n.put(number, n.of[old])
	delete(n.of, old)
	return true
}

func (n *numbers) taken(number uint32) bool {
	_, taken := n.of[number]
	return taken
}

func (n *numbers) put(number uint32, at place) {
	if n.of == nil {
		n.of = map[uint32]place{}
	}
	n.of[number] = at
}

// give gives a number back.
func (n *numbers) give(number uint32) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	delete(n.of, number)
}

func (n *numbers) find(number uint32) (at place, ok bool) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	at, ok = n.of[number]
	return at, ok
}

// number chooses one for a session of this worker.
func (w *Worker) number(session uint32) uint32 {
	random := firstNumber + uint32(w.env.Chance()*(lastNumber-firstNumber))
	return w.workers.numbers.take(random, place{w.index, session}, w.workers.processes.known)
}

// Known has the client known by the number of the server that it keeps for life.
func (t *task) Known(number uint32) bool {
	if !t.w.workers.numbers.swap(t.number, number) {
		return false
	}
	t.number = number
	return true
}

// Notifier is the number of the client whose notification a process of a node has sent.
func (t *task) Notifier(node int, pid uint32) (number uint32, ok bool) {
	return t.w.workers.processes.notified(node, pid)
}
