// Package registry holds the tables that workers keep: of clients' numbers, open servers,
// what servers have said at log-in and were let in on, statements that are known to be
// right, and times of waiting.
//
// Contract: a table knows nobody who asks, and each that can grow has a limit (I5). Those
// that all workers share have a lock, which is never taken on the path of a query.
package registry

import "sync"

// Numbers are those by which clients are known to themselves and to others, over all
// workers. They change when a client comes and goes. Cancels and signals look them up;
// queries never do.
type Numbers struct {
	mutex sync.Mutex
	of    map[uint32]Place
}

// Place says where a session lives.
type Place struct {
	Worker  int
	Session uint32
}

// FirstNumber is above all numbers that Linux gives to processes, so no process of a
// node has the number of a client. A client of another pgherd is most unlikely to have
// it.
const (
	FirstNumber = 1 << 22
	LastNumber  = 1<<31 - 1 // positive as an int32
)

// Take gives a session the number or, if another session has it, the next one that is
// free.
func (n *Numbers) Take(number uint32, at Place, used func(uint32) bool) uint32 {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for n.taken(number) || used(number) {
		if number++; number > LastNumber {
			number = FirstNumber
		}
	}
	n.put(number, at)
	return number
}

// Swap gives a session another number instead of its own; it is false if another
// session has that.
func (n *Numbers) Swap(old, number uint32) bool {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.taken(number) {
		return false
	}
	n.put(number, n.of[old])
	delete(n.of, old)
	return true
}

func (n *Numbers) taken(number uint32) bool {
	_, taken := n.of[number]
	return taken
}

func (n *Numbers) put(number uint32, at Place) {
	if n.of == nil {
		n.of = map[uint32]Place{}
	}
	n.of[number] = at
}

// Give gives a number back.
func (n *Numbers) Give(number uint32) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	delete(n.of, number)
}

func (n *Numbers) Find(number uint32) (at Place, ok bool) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	at, ok = n.of[number]
	return at, ok
}

// Len is how many numbers are given.
func (n *Numbers) Len() int {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return len(n.of)
}
