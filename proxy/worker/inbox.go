package worker

import (
	"sync"
	"sync/atomic"
)

// inbox is how other threads speak to a worker. The lock is taken by senders
// and, when something has been sent, once a turn by the worker: never on the
// path of a query.
type inbox struct {
	some atomic.Bool
	lock sync.Mutex
	list []func()
	over bool
}

// put adds a message and wakes the worker. False: it is closed and will not
// read it.
func (b *inbox) put(message func(), wake func()) bool {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.over {
		return false
	}
	b.list = append(b.list, message)
	b.some.Store(true)
	wake() // under the lock: the loop is closed only after the inbox
	return true
}

// take removes all messages.
func (b *inbox) take() []func() {
	if !b.some.Load() {
		return nil
	}
	b.lock.Lock()
	defer b.lock.Unlock()
	list := b.list
	b.list = nil
	b.some.Store(false)
	return list
}

// close refuses further messages.
func (b *inbox) close() {
	b.lock.Lock()
	b.over = true
	b.lock.Unlock()
}
