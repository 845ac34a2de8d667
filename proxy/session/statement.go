package session

import (
	"encoding/binary"
	"fmt"

	"pgherd/proxy/command"
	"pgherd/proxy/effect"
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/statements"
	"pgherd/proxy/track"
	"pgherd/proxy/wire"
)

// clientState is what the client has built up and has to find again on another server, such as
// prepared statements and settings, and how many bytes of it pgherd keeps.
type clientState struct {
	exchange
	holdings
	memory   memory
	prepared command.Prepared // pgherd's own commands that the client has prepared and bound
	tracker  track.Tracker    // what it has changed on servers
	timeouts pool.Timeouts    // PostgreSQL's, as they are after the log-in
	request
	retry    retry
	rerun    rerun
	portalOf *statements.Statement // the statement of the unnamed portal; nil: nobody knows
}

// holdings are the client's prepared statements.
type holdings struct {
	statements statements.Set
	exposed    bool   // the server has them under the client's own names
	round      uint64 // how many Syncs and Queries there were
	private    uint64 // a counter that makes numbers and keys of statements unique
	scratch    []byte // memory in which short messages are built
}

// statement makes a statement of the Parse at hand. text is what follows the name in it.
func (s *clientState) statement(text string) *statements.Statement {
	s.private++
	st := statements.New(text, s.script, s.tracker.Mean)
	st.ID, st.Round = uint64(s.pid)<<32|s.private, s.round
	if s.tracker.Unsure { // the settings under which it is parsed are not known
		st.Key = s.privately(st.Key)
	}
	return st
}

// privately is a key that no other statement has, so that no other session shares this one.
func (s *clientState) privately(key string) string {
	s.private++
	s.tracker.Blindly = s.tracker.Blindly || s.tracker.Unsure && !s.failed() // a failed transaction takes no Parse
	return fmt.Sprint(key, "\x00", s.pid, " ", s.private)
}

// now is the statement as it is prepared at this moment. If the present settings are not known,
// it gets a key by which nobody finds it again. The settings that gave it its meaning stay with
// it, for a later Parse under known settings.
func (s *clientState) now(st *statements.Statement) *statements.Statement {
	if !s.tracker.Unsure {
		return st
	}
	changed := *st
	changed.Key = s.privately(st.Key)
	return &changed
}

// parse prepares a statement on the server under a name of pgherd's.
func (s *clientState) parse(st *statements.Statement, w expect.Disposition, undo expect.Undo) (name string) {
	server, unparsed := s.server, st.Unparsed
	there, closed, back := server.Prepared.Add(st.Key, s.set.MaxPrepared)
	if closed != nil {
		s.send(wire.Close, expect.Swallow, nil, wire.AppendClose(nil, 'S', closed.Name))
	}
	name, there.By, st.Unparsed = there.Name, st.ID, false
	s.send(wire.Parse, w, func(erred bool) {
		back(erred)
		if st.Unparsed = unparsed; undo != nil {
			undo(erred)
		}
	}, appendParse(nil, name, st.Typed()))
	if len(s.parsed) < parsedLimit && s.tracker.Mean == nil {
		s.parsed = append(s.parsed, st.Key)
	}
	return name
}

// parsedLimit is how many statements of one checkout are remembered for prove.
const parsedLimit = 100

// prove tells the pool which statements this server has prepared without an error. The server
// owes nothing by now, so a statement whose Parse has failed is not in its list any more.
func (s *clientState) prove() {
	for _, key := range s.parsed {
		if s.server.Prepared.Find(key) != nil {
			s.loop.Prove(s.pool, key)
		}
	}
}

// appendParse builds a Parse from a name and what follows it.
func appendParse(dst []byte, name, text string) []byte {
	dst = append(dst, 'P')
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(name)+1+len(text)))
	return append(append(append(dst, name...), 0), text...)
}

// ensure prepares the statement that the client calls by this name on the server, unless the
// server has it, and returns its name there. It is not ok if the client has no named statement
// of that name.
func (s *clientState) ensure(name []byte) (there string, ok bool) {
	if len(name) == 0 {
		s.ensureUnnamed()
		return "", false
	}
	st := s.statements.Named(string(name))
	if st == nil {
		return "", false
	}
	if found := s.server.Prepared.Find(st.Key); st.ServedBy(found) {
		there = found.Name
	} else {
		if st = s.now(st); s.tracker.Kept() != "" {
			s.statements.Keep(string(name), st) // under its new key, because the server stays
		}
		s.under(st, func() { there = s.parse(st, expect.Setup, nil) })
	}
	return there, true
}

// lacks says that a request is about a statement of the client's that the server does not have,
// or that code which pgherd does not see may have deallocated.
func (s *clientState) lacks(m *wire.Message) bool {
	var name []byte
	switch m.Kind {
	case wire.Parse: // another statement may have the name
		v, err := wire.ViewParse(m.Body())
		if name = v.Name; err != nil || !m.Last || len(name) == 0 {
			return false
		}
	case wire.Bind:
		_, name, _ = wire.BindNames(m.Body())
	case wire.Describe:
		v, err := wire.ViewDescribe(m.Body())
		if name = v.Name; err != nil || v.What != 'S' {
			return false
		}
	default:
		return false
	}
	st := s.statements.Find(name)
	if st == nil || len(name) == 0 {
		return st != nil && s.server.Prepared.Unnamed != st.ID
	}
	return s.tracker.Kept() != "" || !st.ServedBy(s.server.Prepared.Find(st.Key))
}

// ensureUnnamed makes the server's unnamed statement the client's.
func (s *clientState) ensureUnnamed() {
	server := s.server
	if server.Prepared.Unnamed == s.statements.Unnamed.Number() {
		return
	}
	there, st := server.Prepared.Unnaming(), s.statements.Unnamed
	if st != nil {
		st = s.now(st)
	}
	server.Prepared.Unnamed = s.statements.Unnamed.Number()
	back := func(erred bool) {
		if there(); erred {
			server.Prepared.Unnamed = 0
		}
	}
	if st != nil && st.Closes != "" {
		s.prepareGone()
	}
	if st == nil { // the server has another client's unnamed statement
		s.send(wire.Close, expect.Swallow, back, wire.AppendClose(nil, 'S', ""))
		return
	}
	s.under(st, func() {
		s.send(wire.Parse, expect.Setup, back, appendParse(nil, "", st.Typed()))
	})
}

// under parses a statement under the settings that gave it its meaning when the client prepared
// it, and then brings the present settings back.
func (s *clientState) under(st *statements.Statement, parse func()) {
	if s.tracker.Unsure || st.Script.Recovers() || st.Script.Empty() { // the present settings are not known, or they make no difference
		parse()
		return
	}
	now := s.tracker.Mean
	s.setLocally(now, st.Under)
	parse()
	s.setLocally(st.Under, now)
}

// setLocally sets, until the end of the transaction, those settings that differ.
func (s *clientState) setLocally(have, want pool.Settings) {
	for _, name := range effect.Meaning {
		if have[name] == want[name] || name == "role" || name == "session_authorization" {
			continue
		}
		s.within(pool.SetLocal(name, want[name]))
	}
}

// ownStatement is the name of a statement and portal of pgherd's that no client's has.
const ownStatement = pool.PreparedPrefix + "set"

var tooManyStatements = &wire.Fault{Severity: "ERROR", Code: "54000", Message: "too many prepared statements in one session",
	Hint: "Close those that are not needed any more, or use pool_mode = session for this user or database (pool_mode_list)."}
