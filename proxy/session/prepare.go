package session

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// prepare makes prepared statements follow the client from server to server.
// A statement has one name on a server, shared by all sessions that prepare
// the same text and types; the client's own names never reach one. mine: the
// request was answered, or sent on in other words.
//
// The names that a server does not know (a client's own, of statements too
// long to keep) are passed as they are: its error is the right one.
func (s *Session) prepare(m *wire.Message) (mine bool) {
	if s.expect.skipping {
		return false // the server will not read it
	}
	switch m.Kind {
	case wire.Query: // destroys the unnamed statement
		back := s.setUnnamed(nil)
		if !s.expect.within() {
			back = nil // nothing can have it skipped
		}
		s.expect.add(wire.Query, forward, back)
		s.passFirst(m)
		return true
	case wire.Parse:
		return s.prepareParse(m)
	case wire.Bind:
		return s.prepareBind(m)
	case wire.Describe:
		return s.prepareDescribe(m)
	case wire.Close:
		return s.prepareClose(m)
	}
	return false
}

func (s *Session) prepareParse(m *wire.Message) bool {
	if !m.Last {
		if m.Bytes[wire.HeaderLen] == 0 { // the unnamed one
			s.expect.add(wire.Parse, forward, s.setUnnamed(s.statement("")))
			s.passFirst(m)
			return true
		}
		return false // the server stays, and knows it by the client's name
	}
	v, err := wire.ViewParse(m.Body())
	if err != nil {
		return false
	}
	st := s.statement(string(m.Body()[len(v.Name)+1:]))
	if len(v.Name) == 0 {
		s.parseUnnamed(m, st)
		return true
	}
	name := string(v.Name)
	if s.follow.runs[name] != nil {
		return false // a statement of SQL PREPARE: the server says so
	}
	if s.status == wire.Failed && !ends(st.script) { // the server says no, whatever the name
		st.key = s.privately(st.key)
		s.parse(st, forward, nil)
		return true
	}
	if s.statements[name] != nil {
		s.collide(name, st.text)
		return true
	}
	s.keepStatement(name, st)
	forget := func(bool) { delete(s.statements, name) }
	if _, known := s.server.Prepared.Find(st.key); known {
		s.answerOr(wire.AppendParseComplete(nil), false, forget)
		return true
	}
	s.parse(st, forward, forget)
	return true
}

// parseUnnamed passes a Parse of the unnamed statement. One that deallocates
// what the client has prepared by message, and the server has by another name
// for others too, is given something to deallocate.
func (s *Session) parseUnnamed(m *wire.Message, st *statement) {
	if st.closes = s.closing(st.script); st.closes == "" {
		s.expect.add(wire.Parse, forward, s.setUnnamed(st))
		s.requests.pass(s.server.Endpoint, *m)
		return
	}
	s.expect.add(wire.Close, prelude, nil)
	s.expect.add(wire.Parse, prelude, nil)
	b := wire.AppendClose(nil, 'S', goneStatement)
	s.server.Endpoint.Write(wire.AppendParse(b, goneStatement, "", nil))
	st.text = "DEALLOCATE " + goneStatement + "\x00\x00\x00" // and no types
	st.key = s.privately(st.text)
	s.expect.add(wire.Parse, forward, s.setUnnamed(st))
	s.server.Endpoint.Write(appendParse(nil, "", st.text))
}

// forgetClosed: the statement is being deallocated. It is not if the server
// skips that.
func (s *Session) forgetClosed(name string) undo {
	st := s.statements[name]
	if st == nil {
		return nil
	}
	delete(s.statements, name)
	return func(bool) { s.keepStatement(name, st) }
}

// closing is the statement of the client's that a script deallocates and does
// nothing else.
func (s *Session) closing(script *query.Script) string {
	if script == nil || len(script.Statements) != 1 || script.Statements[0].Kind != query.Deallocate {
		return ""
	}
	if name := script.Statements[0].Name; s.statements[name] != nil {
		return name
	}
	return ""
}

// goneStatement is a name that no client's statement has.
const goneStatement = pool.PreparedPrefix + "gone"

// ends says that a failed transaction takes the statement.
func ends(script *query.Script) bool {
	if script == nil || len(script.Statements) != 1 {
		return false
	}
	switch script.Statements[0].Kind {
	case query.Commit, query.Rollback, query.RollbackTo, query.PrepareTransaction:
		return true
	}
	return false
}

// statement is what a client has prepared.
type statement struct {
	text   string        // of the Parse, after the name
	key    string        // by which sessions share it: the text, and what gave it its meaning
	under  pool.Settings // those that gave it its meaning
	script *query.Script // nil: too long to look into
	// described: the client knows the types of its result.
	described bool
	closes    string // the client's statement that it deallocates; "": none
}

// statement makes one of the Parse at hand.
func (s *Session) statement(text string) *statement {
	st := &statement{text: text, key: text, under: s.follow.mean, script: s.script}
	for _, name := range slices.Sorted(maps.Keys(st.under)) {
		st.key += "\x00" + name + " " + st.under[name]
	}
	if s.follow.unsure { // nobody knows under what it is parsed
		st.key = s.privately(st.key)
	}
	return st
}

// privately is a key that no other statement has.
func (s *Session) privately(key string) string {
	s.private++
	s.follow.blindly = s.follow.blindly || s.follow.unsure
	return fmt.Sprint(key, "\x00", s.pid, " ", s.private)
}

// now is the statement as it would be prepared at this moment: if nobody knows
// under what settings that would be, it is not to be found again.
func (s *Session) now(st *statement) *statement {
	if !s.follow.unsure {
		return st
	}
	changed := *st
	changed.key, changed.under = s.privately(st.key), s.follow.mean
	return &changed
}

// key is that of a statement, "" if there is none.
func (st *statement) keyOr() string {
	if st == nil {
		return ""
	}
	return st.key
}

// setUnnamed notes what the unnamed statement is from now on.
func (s *Session) setUnnamed(st *statement) undo {
	before, there, server := s.unnamed, s.server.Prepared.Unnaming(), s.server
	s.unnamed, server.Prepared.Unnamed = st, st.keyOr()
	return func(erred bool) {
		s.unnamed = before
		there()
		if erred { // a Parse that fails destroys the one before
			s.unnamed, server.Prepared.Unnamed = nil, ""
		}
	}
}

// duplicate is PostgreSQL's error for a name that another statement has.
const duplicate = "42P05"

// collide: the client's name is taken. The server is made to fail by the name
// that it has for that statement, so that it skips and rolls back as it must;
// the client gets the error with its own name in it, unless there is another.
func (s *Session) collide(name, text string) {
	there, _ := s.ensure([]byte(name))
	fault := &wire.Fault{Severity: "ERROR", Code: duplicate, Message: `prepared statement "` + name + `" already exists`}
	s.expect.addInstead(wire.Parse, wire.AppendError(nil, fault), duplicate)
	s.server.Endpoint.Write(appendParse(nil, there, text))
}

// parse prepares a statement on the server under a name of ours.
func (s *Session) parse(st *statement, w whose, undo undo) (name string) {
	server := s.server
	name, evicted := server.Prepared.Add(st.key, s.set.MaxPrepared)
	if evicted != "" {
		s.expect.add(wire.Close, swallow, nil)
		server.Endpoint.Write(wire.AppendClose(nil, 'S', evicted))
	}
	s.expect.add(wire.Parse, w, func(erred bool) {
		server.Prepared.Remove(st.key)
		if undo != nil {
			undo(erred)
		}
	})
	server.Endpoint.Write(appendParse(nil, name, st.text))
	if len(s.parsed) < parsedLimit && s.follow.mean == nil {
		s.parsed = append(s.parsed, st.key)
	}
	return name
}

// parsedLimit is how many statements of one transaction are proven by it.
const parsedLimit = 100

// prove tells the pool of the statements that this server has taken. The
// server owes nothing, so those it has not are no longer known.
func (s *Session) prove() {
	for _, key := range s.parsed {
		if _, took := s.server.Prepared.Find(key); took {
			s.loop.Prove(s.server.Key, key)
		}
	}
	s.parsed = s.parsed[:0]
}

// prepareAhead answers a Parse without a server, if the statement has been
// taken by one of its pool. A driver that prepares on one thread what it runs
// on others would otherwise wait for the servers that these hold.
func (s *Session) prepareAhead(m *wire.Message) bool {
	v, err := wire.ViewParse(m.Body())
	if !m.Last || err != nil || len(v.Name) == 0 || s.statements[string(v.Name)] != nil || s.follow.runs[string(v.Name)] != nil || s.follow.mean != nil {
		return false
	}
	st := s.statement(string(m.Body()[len(v.Name)+1:]))
	if !s.loop.Proven(s.target(), st.key) {
		return false
	}
	s.keepStatement(string(v.Name), st)
	s.answer(wire.AppendParseComplete(nil), false)
	return true
}

func (s *Session) keepStatement(name string, st *statement) {
	if s.statements == nil {
		s.statements = map[string]*statement{}
	}
	s.statements[name] = st
}

// appendParse builds a Parse from a name and what follows it.
func appendParse(dst []byte, name, text string) []byte {
	dst = append(dst, 'P')
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+len(name)+1+len(text)))
	return append(append(append(dst, name...), 0), text...)
}

// ensure has the statement that the client calls by this name ready on the
// server, and returns its name there. Not ok: the name is not the client's.
func (s *Session) ensure(name []byte) (there string, ok bool) {
	if len(name) == 0 {
		s.ensureUnnamed()
		return "", false
	}
	st := s.statements[string(name)]
	if st == nil {
		return "", false
	}
	if there, ok = s.server.Prepared.Find(st.key); !ok {
		if st = s.now(st); s.follow.kept != "" {
			s.statements[string(name)] = st // to be found again: the server stays
		}
		s.under(st, func() { there = s.parse(st, prelude, nil) })
	}
	return there, true
}

// ensureUnnamed makes the server's unnamed statement the client's.
func (s *Session) ensureUnnamed() {
	server := s.server
	if server.Prepared.Unnamed == s.unnamed.keyOr() {
		return
	}
	there, st := server.Prepared.Unnaming(), s.unnamed
	if st != nil {
		st = s.now(st)
	}
	server.Prepared.Unnamed = st.keyOr()
	back := func(erred bool) {
		if there(); erred {
			server.Prepared.Unnamed = ""
		}
	}
	if st == nil { // another client's is there
		s.expect.add(wire.Close, swallow, back)
		server.Endpoint.Write(wire.AppendClose(nil, 'S', ""))
		return
	}
	s.under(st, func() {
		s.expect.add(wire.Parse, prelude, back)
		server.Endpoint.Write(appendParse(nil, "", st.text))
	})
}

// under has a statement parsed under the settings that gave it its meaning
// when the client prepared it, and the present ones brought back.
func (s *Session) under(st *statement, parse func()) {
	if s.follow.unsure { // nobody knows what to bring back
		parse()
		return
	}
	now := s.follow.mean
	s.setLocally(now, st.under)
	parse()
	s.setLocally(st.under, now)
}

// setLocally sets, for the transaction, what differs.
func (s *Session) setLocally(have, want pool.Settings) {
	for name := range meant {
		if have[name] == want[name] {
			continue
		}
		sql := pool.SetLocal(name, want[name])
		for _, kind := range []wire.Kind{wire.Parse, wire.Bind, wire.Execute, wire.Close, wire.Close} {
			s.expect.add(kind, prelude, nil)
		}
		b := wire.AppendParse(nil, settingStatement, sql, nil)
		b = wire.AppendBind(b, &wire.BindView{Portal: []byte(settingStatement), Statement: []byte(settingStatement)})
		b = wire.AppendExecute(b, settingStatement, 0)
		b = wire.AppendClose(b, 'P', settingStatement)
		s.server.Endpoint.Write(wire.AppendClose(b, 'S', settingStatement))
	}
}

// settingStatement is a name that no client's statement or portal has.
const settingStatement = pool.PreparedPrefix + "set"

// prepareBind sends a Bind on under the statement's name on the server. Of a
// long one only the beginning is here: that is enough.
func (s *Session) prepareBind(m *wire.Message) bool {
	body := m.Body()
	portal := bytes.IndexByte(body, 0)
	if portal < 0 {
		return false
	}
	statement := bytes.IndexByte(body[portal+1:], 0)
	if statement < 0 {
		return false
	}
	copies := s.copies()
	there, ok := s.ensure(body[portal+1 : portal+1+statement])
	if s.again.of = nil; ok {
		name := body[portal+1 : portal+1+statement]
		s.again.of = s.statements[string(name)]
		if copies {
			s.again.begin(name)
		}
	}
	var back undo
	if statement == 0 && s.unnamed != nil {
		back = s.forgetClosed(s.unnamed.closes)
	}
	s.expect.add(wire.Bind, forward, back)
	if !ok {
		s.passFirst(m)
		return true
	}
	length := int(binary.BigEndian.Uint32(m.Bytes[1:])) + len(there) - statement
	head := binary.BigEndian.AppendUint32([]byte{'B'}, uint32(length))
	head = append(append(append(head, body[:portal+1]...), there...), 0)
	s.server.Endpoint.Write(head)
	rest := *m
	rest.Bytes = body[portal+1+statement+1:]
	s.passFirst(&rest)
	return true
}

func (s *Session) prepareDescribe(m *wire.Message) bool {
	v, err := wire.ViewDescribe(m.Body())
	if err == nil && v.What == 'P' && s.again.of != nil {
		s.again.of.described = true
	}
	if err != nil || v.What != 'S' {
		return false
	}
	there, ok := s.ensure(v.Name)
	s.expect.add(wire.Describe, forward, nil)
	if ok {
		s.statements[string(v.Name)].described = true
		s.server.Endpoint.Write(wire.AppendDescribe(nil, 'S', there))
	} else {
		s.requests.pass(s.server.Endpoint, *m)
	}
	return true
}

// prepareClose forgets the client's statement; the server keeps it for others.
func (s *Session) prepareClose(m *wire.Message) bool {
	v, err := wire.ViewClose(m.Body())
	if err != nil || v.What != 'S' {
		return false
	}
	if len(v.Name) == 0 {
		s.expect.add(wire.Close, forward, s.setUnnamed(nil))
		s.requests.pass(s.server.Endpoint, *m)
		return true
	}
	name := string(v.Name)
	if runs := s.follow.runs[name]; runs != nil { // a statement of SQL PREPARE
		delete(s.follow.runs, name)
		s.follow.unsure = true
		s.expect.add(wire.Close, forward, func(bool) { s.follow.runs[name] = runs })
		s.requests.pass(s.server.Endpoint, *m)
		return true
	}
	st := s.statements[name]
	if st == nil {
		return false
	}
	delete(s.statements, name)
	s.answerOr(wire.AppendCloseComplete(nil), false, func(bool) { s.keepStatement(name, st) })
	return true
}

// passFirst sends on the first piece of a request whose other pieces, if any,
// follow as they are.
func (s *Session) passFirst(m *wire.Message) {
	if len(m.Bytes) > 0 {
		s.requests.pass(s.server.Endpoint, *m)
	}
	s.passing = !m.Last
}
