package pool

import (
	"cmp"
	"slices"
)

// waiter is a ticket in the queue.
type waiter struct {
	Ticket
	pool *pool
}

// who identifies a waiter: a session waits for one server at a time.
type who struct {
	worker  int
	session uint32
}

func (t *Ticket) who() who { return who{t.Worker, t.Session} }

// line is waiters by order, the longest waiting first.
type line []*waiter

// find returns the place of the first waiter whose order is not below this one.
func (l line) find(order uint64) int {
	at, _ := slices.BinarySearchFunc(l, order, func(w *waiter, order uint64) int { return cmp.Compare(w.order, order) })
	return at
}

func (l *line) insert(w *waiter) { *l = slices.Insert(*l, l.find(w.order), w) }

func (l *line) remove(w *waiter) { remove((*[]*waiter)(l), l.find(w.order)) }

// gate holds the pools whose waiters one limit blocks, in the order of their longest
// waiters.
type gate []*pool

func (g gate) find(p *pool) int {
	at, _ := slices.BinarySearchFunc(g, p.head().order, func(p *pool, order uint64) int { return cmp.Compare(p.head().order, order) })
	return at
}

func (g *gate) insert(p *pool) { *g = slices.Insert(*g, g.find(p), p) }

func (g *gate) remove(p *pool) { remove((*[]*pool)(g), g.find(p)) }

// remove removes one element. Removing the first, the usual case, moves no others.
func remove[T any](list *[]*T, at int) {
	if at > 0 {
		*list = slices.Delete(*list, at, at+1)
		return
	}
	(*list)[0] = nil
	*list = (*list)[1:]
}
