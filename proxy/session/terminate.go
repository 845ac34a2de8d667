package session

import (
	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// findSignal finds out whether a request does nothing but send a signal, with
// pg_terminate_backend or pg_cancel_backend, and on which node the process is. If servers of
// pgherd's on several nodes have that process number, the primary's is meant, or else that of
// the first node. A number that no server of pgherd's has is taken for a process of the
// primary, because clients see the primary's pg_stat_activity.
func (s *signaling) findSignal(m *wire.Message, r *route.Request) {
	pid, signals := s.signaled(m, r)
	r.Signals = signals
	switch {
	case s.target.pid != 0:
		r.Owner, r.Elsewhere = s.target.node, s.target.node != s.primary()
	case pid > 0:
		r.Owner, r.Elsewhere = s.owner(uint32(pid))
	}
	if runs := s.server != nil && !s.away && s.ran; runs || s.status == wire.Failed {
		r.Elsewhere = false
	}
}

// signaled is the process number that a request signals; 0 if that is not known, or the
// request signals none.
func (s *signaling) signaled(m *wire.Message, r *route.Request) (pid int64, signals bool) {
	if r.Script == nil || len(r.Script.Statements) != 1 || !r.Script.Statements[0].Effects.Has(query.Signals) {
		return 0, false
	}
	from, ok := query.Signal(r.Script)
	if !ok || s.judge().Function(&r.Script.Statements[0].Functions[0]) != catalog.Harmless {
		return 0, false // the database may have a function of its own by that name
	}
	argument := r.Script.Statements[0].Functions[0].Arguments[0]
	pid, known := query.Process(argument.Text), argument.Constant
	if argument.Parameter > 0 && m.Kind == wire.Bind {
		_, _, st := s.bound(m)
		pid, known = st.Bound(m.Body(), argument.Parameter-1, from)
	}
	if !known || pid < 0 {
		pid = 0
	}
	return pid, true
}

// owner is the node that has the process; elsewhere is true if it is not the primary.
func (s *signaling) owner(pid uint32) (node int, elsewhere bool) {
	primary, node := s.primary(), -1
	if primary >= 0 && s.loop.Holds(primary, pid) {
		return primary, false
	}
	for _, c := range s.loop.Candidates() { // in any order
		if c.Index != primary && (node < 0 || c.Index < node) && s.loop.Holds(c.Index, pid) {
			node = c.Index
		}
	}
	return node, node >= 0
}
