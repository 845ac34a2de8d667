package session

import (
	"bytes"
	"slices"

	"pgherd/proxy/catalog"
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// definitions are those of the open transaction. Each is a list of the functions and
// relations whose doings it changes; an empty one, of whatever there is.
type definitions struct {
	made   [][]string
	plain  bool       // there may be more, after which no other statement does more
	heard  bool       // the statements of the session are not looked at, and one of them has defined something
	secret [][]string // those of them that other sessions have not heard of
	open   []uint64   // what was announced, and may still take effect
}

func (d *definitions) none() bool { return len(d.made) == 0 && len(d.open) == 0 && !d.plain }

// announce tells other sessions, before the request at hand is sent, that with it
// definitions of the open transaction may take effect.
func (s *analysis) announce(kind wire.Kind) {
	d := &s.definitions
	if len(d.secret) == 0 || s.entry == nil || !s.mayCommit(kind) {
		return
	}
	objects := slices.Concat(d.secret...)
	if slices.ContainsFunc(d.secret, func(one []string) bool { return len(one) == 0 }) {
		objects = nil
	}
	n := s.entry.Begin(objects)
	d.secret, d.open = nil, append(d.open, n)
	s.redo.own = append(s.redo.own, n)
}

// mayCommit says that the open transaction may end with the request at hand, and not
// by a ROLLBACK.
func (s *analysis) mayCommit(kind wire.Kind) bool {
	runs := kind == wire.Query || kind == wire.Bind
	return s.status != wire.InTransaction || s.expect.StatusPending() || runs && s.basis.script.Commits()
}

// tellDefinitions tells other sessions, before the client hears of it, that what was
// announced may have taken effect.
func (k *knowledge) tellDefinitions() {
	if len(k.definitions.open) > 0 {
		k.entry.Changed()
	}
}

// endDefinitions: a ReadyForQuery has come.
func (s *analysis) endDefinitions() {
	d := &s.definitions
	if d.none() || s.disposition != expect.Forward && s.disposition != expect.Substitute {
		return
	}
	if s.status == wire.Idle {
		s.tellDefinitions()
		if d.plain {
			s.entry.Refresh(s.loop.Now())
		}
	}
	if s.expect.StatusPendingBehind() {
		return
	}
	endAll(s.entry, d.open)
	if s.status == wire.Idle {
		*d = definitions{}
	} else {
		*d = definitions{made: d.made, secret: d.made, plain: d.plain} // they may take effect yet
	}
}

// noteDefinedUnseen tells other sessions of definitions in one whose statements are not looked at:
// by their tags, which do not tell what is defined, nor what functions and DO define.
func (s *analysis) noteDefinedUnseen(m wire.Message) {
	d := &s.definitions
	if s.follows || s.set.Catalogs == nil || !d.heard && m.Kind != wire.CommandComplete {
		return
	}
	if !d.heard {
		v, err := wire.ViewCommandComplete(m.Body())
		d.heard = err == nil && defining(v.Tag)
	}
	if d.heard {
		entry := s.set.Catalogs.Entry(s.who.Target.Database)
		n := entry.Begin(nil)
		entry.Changed()
		entry.End(n)
	}
	d.heard = d.heard && (m.Kind != wire.ReadyForQuery || s.status != wire.Idle)
}

// defining says that a statement of this tag may change what other statements do.
func defining(tag []byte) bool {
	return bytes.HasPrefix(tag, []byte("CREATE ")) || bytes.HasPrefix(tag, []byte("ALTER ")) ||
		bytes.HasPrefix(tag, []byte("IMPORT ")) || string(tag) == "COMMIT PREPARED"
}

// leaveDefinitions: the session parts with its server. What was announced may take
// effect until that has ended.
func (k *knowledge) leaveDefinitions(server *pool.Server) {
	entry, open := k.entry, k.definitions.open
	k.definitions = definitions{}
	if len(open) > 0 {
		server.Closed = func() {
			entry.Changed()
			endAll(entry, open)
		}
	}
}

func endAll(entry *catalog.Entry, flights []uint64) {
	for _, n := range flights {
		entry.End(n)
	}
}
