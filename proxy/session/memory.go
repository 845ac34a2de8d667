package session

import (
	"sync/atomic"

	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// Memory counts what all clients together have pgherd keep for them, in bytes. Sessions
// add to it in steps, so that it is not on the path of a plain statement.
type Memory struct{ used atomic.Int64 }

// Used is how many bytes that are.
func (m *Memory) Used() int64 { return m.used.Load() }

// memoryStep is how much a session takes of the common limit at once, in bytes. It holds
// on to less than two steps that it does not need.
const memoryStep = 4 << 10

// memory is what a client has pgherd keep for it, in bytes, as if it shared nothing with
// other clients. What is counted elsewhere, weight adds.
type memory struct {
	all     *Memory
	values  int // of parameters that it has set for itself
	claimed int // of the common limit
}

// commandSize is what a command that is prepared or bound takes in memory, in bytes, rounded
// up, with what a map needs for it.
const commandSize = 100

// weight is what the client has pgherd keep for it, in bytes.
func (s *clientState) weight() int {
	if !s.expect.Doubtful() {
		s.statements.Certain()
	}
	return s.statements.Bytes() + s.memory.values + s.prepared.Bytes + s.tracker.Size() + s.expect.Held()
}

// room says that the client may have pgherd keep n bytes more; nil: it may.
func (s *clientState) room(n int) *wire.Fault {
	want := s.weight() + n
	if why := s.limited(want); why != nil {
		return why
	}
	if !s.memory.claim(want, int64(s.set.ClientsMemory)) {
		return tooMuchInAll
	}
	return nil
}

// roomUnnamed is room for the unnamed statement, which takes the place of the one before:
// who has used up all else still runs statements, but no endless sequence of them.
func (s *clientState) roomUnnamed(n int) *wire.Fault {
	s.weight() // forgets what is not in doubt any more
	doubted := s.statements.Doubted()
	if doubted == 0 {
		return nil
	}
	return s.limited(doubted + n)
}

// limited says that n bytes are not more than one client may have kept.
func (s *clientState) limited(n int) *wire.Fault {
	if limit := s.set.ClientMemory; limit > 0 && n > limit {
		return tooMuch
	}
	return nil
}

// claim takes what the session does not have yet of the bytes that it wants. Not ok: that
// would be more than the limit. 0: there is none.
func (m *memory) claim(want int, limit int64) (ok bool) {
	more := steps(want) - m.claimed
	if more <= 0 || m.all == nil {
		return true
	}
	if all := m.all.used.Add(int64(more)); limit > 0 && all > limit {
		m.all.used.Add(-int64(more))
		return false
	}
	m.claimed += more
	return true
}

// account brings the common count to what the session has; nothing is refused any more.
func (s *clientState) account() {
	want := s.weight()
	if want > s.memory.claimed {
		s.memory.claim(want, 0)
	} else if s.memory.claimed-want >= 2*memoryStep {
		s.memory.unclaim(steps(want))
	}
}

// unclaim gives back all but what is left.
func (m *memory) unclaim(left int) {
	if m.all != nil {
		m.all.used.Add(int64(left - m.claimed))
		m.claimed = left
	}
}

func steps(n int) int { return (n + memoryStep - 1) / memoryStep * memoryStep }

// mayKeep says that the client may have a statement prepared under that name; nil: it may.
func (s *clientState) mayKeep(name string, st *statements.Statement) *wire.Fault {
	if len(s.statements.All()) >= statementsLimit {
		return tooManyStatements
	}
	return s.room(st.Size(name))
}

// Errors of who would have pgherd keep too much.
var (
	tooMuch = &wire.Fault{Severity: "ERROR", Code: "54000", Message: "too much is to be kept for one client",
		Detail: "Prepared statements, settings and answers that wait count, up to client_memory_limit.",
		Hint:   "Close prepared statements that are not needed any more, or raise client_memory_limit."}
	tooMuchInAll = &wire.Fault{Severity: "ERROR", Code: "53200", Message: "too much is to be kept for all clients",
		Detail: "Prepared statements and settings of all clients count, up to clients_memory_limit.",
		Hint:   "SHOW POOL_CLIENTS has what each client needs (memory). Close prepared statements that are not needed any more, or raise clients_memory_limit."}
)
