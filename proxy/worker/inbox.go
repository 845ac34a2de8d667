package worker

import (
	"sync"
	"sync/atomic"
)

// inbox carries messages of other threads to a worker. Senders take the lock, and so
// does the worker, once a turn, if something was sent. It is never taken on the path of
// a query.
type inbox struct {
	some atomic.Bool
	lock sync.Mutex
	list []func()
	over bool
}

// put adds a message and wakes the worker. It is false if the inbox is closed, and the
// message will not be read.
func (b *inbox) put(message func(), wake func()) bool {
	b.lock.Lock()
	defer b.lock.Unlock()
	if b.over {
		return false
	}
	b.list = append(b.list, message)
	b.some.Store(true)
	wake() // under the lock, because the loop is closed only after the inbox
	return true
}

// take removes and returns all messages.
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
