package lease

import (
	"slices"
	"time"
)

// change decides a list with one member more or one less, once the one before has settled.
func (w *world) change() {
	if !w.settled() && w.fault != hasty {
		return
	}
	m := w.hosts[w.rng.IntN(len(w.hosts))].self
	members := slices.DeleteFunc(slices.Clone(w.list.Members), func(o Member) bool { return o == m })
	if len(members) == len(w.list.Members) {
		members = append(members, m)
	}
	if len(members) > 0 {
		w.list, w.adopted = List{w.list.Number + 1, members}, 0
	}
}

// settled measures with the fastest clock that there may be.
func (w *world) settled() bool {
	wait := w.limits.Lease + w.limits.Margin
	return w.adopted != 0 && w.now-w.adopted >= wait-wait*mostDrift/1e6
}

// adopt has the host store the latest list, and then go by it.
func (h *host) adopt() {
	list := h.w.list
	h.task(func() {
		if list.Number > h.stored.Number && h.w.fault != forgetful {
			h.stored = list
		}
		step, err := h.lease.Adopt(list, h.clock())
		h.known = max(h.known, list.Number)
		h.w.noteAdopted()
		if err != nil {
			h.w.violate("%d does not adopt %v: %v", h.self, list, err)
		}
		h.do(step)
	})
}

func (w *world) noteAdopted() {
	have := 0
	for _, m := range w.list.Members {
		if w.hosts[m].known >= w.list.Number {
			have++
		}
	}
	if w.adopted == 0 && have > len(w.list.Members)/2 {
		w.adopted = max(w.now, time.Nanosecond)
	}
}

// changes lets lists change while there is trouble; some hosts hear of it late, some never.
func (w *world) changes(pace time.Duration) {
	if w.now >= troubled {
		return
	}
	w.change()
	for _, h := range w.hosts {
		if w.rng.Float64() < h.hears {
			h.adopt()
		}
	}
	w.after(w.below(2*pace), func() { w.changes(pace) })
}
