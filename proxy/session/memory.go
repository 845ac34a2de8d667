package session

import (
	"sync/atomic"

	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// Memory counts the bytes that pgherd keeps for all clients together. Sessions add to it in
// steps, so that most statements do not touch it.
type Memory struct{ used atomic.Int64 }

// Used is how many bytes are counted.
func (m *Memory) Used() int64 { return m.used.Load() }

// memoryStep is how many bytes a session takes of the common limit at once. It holds on to less
// than two steps that it does not need.
const memoryStep = 4 << 10

// memory has those of the bytes that pgherd keeps for a client that are not counted elsewhere;
// weight has them all. What clients share counts for each of them.
type memory struct {
	all     *Memory
	values  int // the parameters of pgherd that it has set for itself
	claimed int // what the session has taken of the common limit
}

// commandSize is the memory of a command that is prepared or bound, and of its place in a map,
// in bytes, rounded up.
const commandSize = 100

// weight is how many bytes pgherd keeps for the client.
func (s *clientState) weight() int {
	if !s.expect.Doubtful() {
		s.statements.Certain()
	}
	return s.statements.Bytes() + s.memory.values + s.prepared.Bytes + s.tracker.Size() + s.expect.Held()
}

// room is nil if pgherd may keep n bytes more for the client; if not, it is the error.
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

// roomUnnamed is room for the unnamed statement, which replaces the one before. A client that
// has used up its limit can still run statements, but not prepare them in an endless pipeline,
// where the earlier ones have to be kept until their Parse is answered.
func (s *clientState) roomUnnamed(n int) *wire.Fault {
	s.weight() // it forgets the statements that cannot come back any more
	doubted := s.statements.Doubted()
	if doubted == 0 {
		return nil
	}
	return s.limited(doubted + n)
}

// limited is nil if one client may have n bytes in all; if not, it is the error.
func (s *clientState) limited(n int) *wire.Fault {
	if limit := s.set.ClientMemory; limit > 0 && n > limit {
		return tooMuch
	}
	return nil
}

// claim raises the bytes that the session has taken of the common limit to what it wants. It is
// not ok if that would exceed the limit; 0 is no limit.
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

// account brings the common count to what the session really has, whatever the limit.
func (s *clientState) account() {
	want := s.weight()
	if want > s.memory.claimed {
		s.memory.claim(want, 0)
	} else if s.memory.claimed-want >= 2*memoryStep {
		s.memory.unclaim(steps(want))
	}
}

// unclaim gives back all that the session has taken but so many bytes.
func (m *memory) unclaim(left int) {
	if m.all != nil {
		m.all.used.Add(int64(left - m.claimed))
		m.claimed = left
	}
}

func steps(n int) int { return (n + memoryStep - 1) / memoryStep * memoryStep }

// mayKeep is nil if the client may prepare a statement under that name; if not, it is the error.
func (s *clientState) mayKeep(name string, st *statements.Statement) *wire.Fault {
	if len(s.statements.All()) >= statementsLimit {
		return tooManyStatements
	}
	return s.room(st.Size(name))
}

// Errors for clients for which pgherd would have to keep too much.
var (
	tooMuch = &wire.Fault{Severity: "ERROR", Code: "54000", Message: "too much is to be kept for one client",
		Detail: "Prepared statements, settings and answers that wait to be sent count towards client_memory_limit.",
		Hint:   "Close prepared statements that are not needed any more, or raise client_memory_limit."}
	tooMuchInAll = &wire.Fault{Severity: "ERROR", Code: "53200", Message: "too much is to be kept for all clients",
		Detail: "Prepared statements and settings of all clients count towards clients_memory_limit.",
		Hint:   "SHOW POOL_CLIENTS shows what each client needs (memory). Close prepared statements that are not needed any more, or raise clients_memory_limit."}
)
