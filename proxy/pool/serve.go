package pool

import "slices"

// serve gives servers and places to the longest waiters that can use them. Only the
// limits in freed may have free places.
func (h *Allocator) serve(freed []*tally) []Action { return h.pass(freed, false) }

// serveAll looks at every waiter.
func (h *Allocator) serveAll() []Action { return h.pass(nil, true) }

// pass goes through the queue, the longest waiter first, and does for each what can be
// done. Within a pass servers and places only become fewer, so no waiter has to be
// looked at twice.
func (h *Allocator) pass(freed []*tally, all bool) (actions []Action) {
	for w := h.next(0, freed, all); w != nil; w = h.next(w.order+1, freed, all) {
		p := w.pool
		switch {
		case p.paused:
		case h.takeSpare(w, &actions):
			h.remove(w)
		case h.shut(p, h.extra(w)) == nil:
			h.count(p, +1)
			actions = append(actions, Action{Open, w.Worker, w.Ticket})
			h.remove(w)
		default:
			if at := h.shut(p, h.extra(p.head())); at != p.at {
				h.stand(p, at)
			}
			h.evictFor(w, &actions)
		}
	}
	h.settle()
	return actions
}

// next is the first waiter, of this order or later, for whom something may be done.
// While no tally rubs, only waiters of pools in an open gate can be served.
func (h *Allocator) next(order uint64, freed []*tally, all bool) (first *waiter) {
	if all || h.rubbing > 0 {
		if at := h.queue.find(order); at < len(h.queue) {
			return h.queue[at]
		}
		return nil
	}
	for _, t := range freed {
		if len(t.gate) == 0 {
			continue
		}
		w := t.gate[0].head()
		extra := 0
		if t == w.pool.under[ofPair] {
			extra = h.extra(w)
		}
		if !t.full(extra) && (first == nil || w.order < first.order) {
			first = w
		}
	}
	return first
}

// shut is the narrowest limit that forbids one more server of the pool, nil if none
// does. extra is how many the pair may have beyond its own limit.
func (h *Allocator) shut(p *pool, extra int) *tally {
	for _, t := range p.under {
		if t.full(extra) {
			return t
		}
		extra = 0 // it is the pair's only
	}
	return nil
}

// extra is how much of the reserve a ticket may use.
func (h *Allocator) extra(w *waiter) int {
	if h.limits.Reserve > 0 && h.now.Sub(w.Since) >= h.limits.ReserveAfter {
		return h.limits.Reserve
	}
	return 0
}

// settle forgets the reported servers once nobody waits, because workers then serve
// themselves again.
func (h *Allocator) settle() {
	if len(h.queue) > 0 {
		return
	}
	for _, s := range h.spares {
		h.offer(s.pool, -1)
		h.forget(s.pool)
	}
	h.spares = nil
}

// takeSpare moves a reported server to the waiter, preferably one of the waiter's own
// worker.
func (h *Allocator) takeSpare(w *waiter, actions *[]Action) bool {
	if w.pool.spare == 0 {
		return false
	}
	best := -1
	for i, s := range h.spares {
		if s.pool == w.pool && (best < 0 || s.worker == w.Worker) {
			best = i
		}
	}
	*actions = append(*actions, Action{Move, h.unspare(best).worker, w.Ticket})
	return true
}

func (h *Allocator) unspare(i int) spare {
	s := h.spares[i]
	h.spares = slices.Delete(h.spares, i, i+1)
	h.offer(s.pool, -1)
	return s
}

// evictFor closes one idle server that takes a place which w needs, unless as many
// evictions are under way as there are waiters up to w.
func (h *Allocator) evictFor(w *waiter, actions *[]Action) {
	if h.rubbing == 0 || h.leaving > h.queue.find(w.order) {
		return
	}
	for i, s := range h.spares {
		if s.pool.blocks(w.pool) {
			h.leave(s.pool, +1)
			h.unspare(i)
			*actions = append(*actions, Action{Evict, s.worker, Ticket{Key: s.pool.key}})
			return
		}
	}
}
