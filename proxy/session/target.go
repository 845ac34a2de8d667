package session

import (
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"

	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/query/lex"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// signaling sends the signals of one client to another (pg_cancel_backend and
// pg_terminate_backend). A client knows another one by the process number that pgherd told
// that one at its log-in, which is no process of PostgreSQL's.
type signaling struct{ serving }

// aimAt finds out whether a request signals a client, and makes that client hold a server.
func (s *signaling) aimAt(m *wire.Message, r *route.Request) error {
	if m.Kind != wire.Query && m.Kind != wire.Bind || !m.Last || s.exposed || s.expect.Skipping {
		return nil
	}
	pid, signals := s.signaled(m, r)
	each := s.eachSignaled(m, r)
	if len(each) == 0 && (!signals || pid <= 0 || !s.loop.Client(uint32(pid))) {
		return nil
	}
	if s.target.pid != 0 || s.target.each != nil { // an earlier signal is on its way
		if err := s.quiesce(); err != nil {
			return err
		}
		s.missTarget()
	}
	if len(each) > 0 {
		return s.aimAtEach(each, r.Script.Statements[0].Functions[0].Name == terminateName)
	}
	if uint32(pid) == s.pid { // the client signals itself, that is the server which the request will get
		s.target = target{number: s.pid, node: s.primary(), pid: s.pid}
		return nil
	}
	var found Target
	var ok bool
	if err := s.loop.Offload(func() { found, ok = s.loop.Aim(uint32(pid)) }); err != nil {
		return err
	}
	if ok {
		s.target = target{number: uint32(pid), node: found.Node, pid: found.PID, release: found.Release,
			ends: r.Script.Statements[0].Functions[0].Name == terminateName}
	}
	return nil
}

const terminateName = "pg_terminate_backend"

// missTarget lets the client go on for which a signal was meant. The signal was sent, or
// will not be.
func (g *signals) missTarget() {
	if g.target.release != nil {
		g.target.release(g.target.ends)
	}
	g.target = target{}
}

// redirect puts the number of the server's process in the place of the client's number.
func (s *signaling) redirect(m *wire.Message) result {
	if s.target.each != nil && m.Kind == wire.Bind {
		s.redirectEach(m)
		return onward
	}
	if s.target.pid == 0 || m.Kind != wire.Query && m.Kind != wire.Bind {
		return onward
	}
	if s.target.number == s.pid {
		s.target.pid, s.target.node = s.server.PID, s.server.Key.Node
	}
	if s.server.Key.Node != s.target.node {
		s.target.ends = false
		return onward // on this node the process may be another one's
	}
	if m.Kind == wire.Query {
		*m = wire.Message{Kind: wire.Query, First: true, Last: true, Copied: true, Bytes: wire.AppendQuery(nil, renumbered(s.script, s.target.pid))}
		return onward
	}
	return s.redirectBind(m)
}

// renumbered is the text of a signal with another process number in it.
func renumbered(script *query.Script, pid uint32) string {
	lexer := lex.New([]byte(script.Text), script.Syntax)
	for t := lexer.Next(); t.Kind != lex.End && t.Kind != lex.Invalid; t = lexer.Next() {
		if t.Kind == lex.Integer || t.Kind == lex.String {
			return script.Text[:t.Start] + strconv.FormatUint(uint64(pid), 10) + script.Text[t.End:]
		}
	}
	return script.Text
}

// redirectBind binds the process number as the parameter. If the statement has the number in
// its text, redirectBind binds a statement with the process number in its text.
func (s *signaling) redirectBind(m *wire.Message) result {
	v, err := wire.ViewBind(m.Body())
	_, _, st := s.bound(m)
	if err != nil || st == nil {
		return onward
	}
	argument := st.Script.Statements[0].Functions[0].Arguments[0]
	if argument.Parameter == 0 {
		_, types, _ := strings.Cut(st.Text, "\x00")
		other := s.now(s.statement(renumbered(st.Script, s.target.pid) + "\x00" + types))
		v.Statement = []byte(s.parse(other, expect.Setup, nil))
		s.send(wire.Bind, expect.Forward, nil, wire.AppendBind(nil, &v))
		return handled
	}
	values := slices.Collect(v.Params.All())
	value := &values[argument.Parameter-1]
	switch n := uint64(s.target.pid); {
	case !v.Binary(argument.Parameter - 1):
		*value = strconv.AppendUint(nil, n, 10)
	case len(*value) == 4:
		*value = binary.BigEndian.AppendUint32(nil, uint32(n))
	case len(*value) == 8:
		*value = binary.BigEndian.AppendUint64(nil, n)
	default:
		*value = strconv.AppendUint(nil, n, 10) // a parameter of type text
	}
	v.Params = wire.MakeValues(values...)
	*m = wire.Message{Kind: wire.Bind, First: true, Last: true, Copied: true, Bytes: wire.AppendBind(nil, &v)}
	return onward
}

// Summon makes the session get a server, if it has none, for a signal to its client.
func (g *signals) Summon() { g.summoned = true }

// Summoned is the server that the session then holds for the signal, until SignalDone (I10).
// It is not done while the session waits for a server. It is nil if the session gets none.
func (s *signaling) Summoned() (server *pool.Server, done bool) {
	switch {
	case !s.summoned || s.state == Closing:
		return nil, true
	case s.server == nil || s.state == WaitServer:
		return nil, false
	}
	s.summoned = false
	s.cancels++
	s.targeted++
	return s.server, true
}

// SignalDone notes that a signal to the server that Summoned has given has come, or never will.
func (s *signaling) SignalDone(server *pool.Server) {
	if server == s.server {
		s.targeted--
	}
	s.CancelDone(server, nil)
}

// scarce says that an error, of PostgreSQL's or pgherd's, means that there is no server now.
func scarce(err error) bool {
	fault, ok := errors.AsType[*wire.Fault](err)
	if !ok || len(fault.Code) < 2 {
		return false
	}
	class := fault.Code[:2]
	return class == "08" || class == "53" || class == "57"
}
