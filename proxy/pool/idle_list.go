package pool

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// IdleList keeps the idle servers of one worker, the most recently used on top.
type IdleList struct {
	servers map[Key][]*Server
	count   int
}

// NewIdleList makes an empty one.
func NewIdleList() *IdleList { return &IdleList{servers: map[Key][]*Server{}} }

// Put adds a server, which owes nothing and is idle (I2).
func (h *IdleList) Put(s *Server, now time.Time) {
	s.Idle = now
	h.servers[s.Key] = append(h.servers[s.Key], s)
	h.count++
}

// Take removes the most recently used server of the key; nil if none is there.
func (h *IdleList) Take(key Key) *Server {
	stack := h.servers[key]
	if len(stack) == 0 {
		return nil
	}
	s := stack[len(stack)-1]
	h.Remove(s)
	return s
}

// Oldest returns the server of the key that has been idle longest, and leaves it in the
// list.
func (h *IdleList) Oldest(key Key) *Server {
	if stack := h.servers[key]; len(stack) > 0 {
		return stack[0]
	}
	return nil
}

// Remove removes s, wherever it is in the list. It is false if s was not there.
func (h *IdleList) Remove(s *Server) bool {
	stack := h.servers[s.Key]
	i := place(stack, s)
	if i < 0 {
		return false
	}
	h.count--
	h.servers[s.Key] = slices.Delete(stack, i, i+1)
	return true
}

// Len is the number of idle servers.
func (h *IdleList) Len() int { return h.count }

// Has says whether s is in the list of idle servers.
func (h *IdleList) Has(s *Server) bool { return place(h.servers[s.Key], s) >= 0 }

// place is where s is in the stack, mostly near its top; -1 if it is not there.
func place(stack []*Server, s *Server) int {
	for i, other := range slices.Backward(stack) {
		if other == s {
			return i
		}
	}
	return -1
}

// All returns every idle server, the one idle longest first.
func (h *IdleList) All() (all []*Server) {
	for _, stack := range h.servers {
		all = append(all, stack...)
	}
	slices.SortFunc(all, func(a, b *Server) int {
		return cmp.Or(a.Idle.Compare(b.Idle), cmp.Compare(a.PID, b.PID))
	})
	return all
}

// Due lists the servers to close: those idle since before idleSince, and those past
// their life time. A zero time switches the first rule off. Pools without an idle
// server are forgotten here.
func (h *IdleList) Due(now, idleSince time.Time) (due []*Server) {
	maps.DeleteFunc(h.servers, func(_ Key, stack []*Server) bool { return len(stack) == 0 })
	for _, s := range h.All() {
		if s.Idle.Before(idleSince) || s.Expired(now) {
			due = append(due, s)
		}
	}
	return due
}

// Retire makes the server be closed when it is given back.
func (s *Server) Retire(now time.Time) { s.Expires = now.Add(-1) }

// Expired says that the server's life time is over.
func (s *Server) Expired(now time.Time) bool {
	return !s.Expires.IsZero() && now.After(s.Expires)
}
