package session

import (
	"bytes"
	"slices"

	"pgherd/proxy/catalog"
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// definitions are those of the open transaction. Each is a list of the functions and relations
// that do something else after it. An empty list means that this may be any.
type definitions struct {
	made   [][]string
	plain  bool       // there are further definitions, which do not change what other statements do
	heard  bool       // statements are not analyzed, and by its tag one of them has defined something
	secret [][]string // those of made that other sessions were not told of yet
	open   []uint64   // the numbers of those that were announced and may still take effect
}

func (d *definitions) none() bool { return len(d.made) == 0 && len(d.open) == 0 && !d.plain }

// announce tells other sessions, before the request at hand is sent, that the definitions of
// the open transaction may take effect with it.
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

// mayCommit says that the request at hand may commit the open transaction.
func (s *analysis) mayCommit(kind wire.Kind) bool {
	runs := kind == wire.Query || kind == wire.Bind
	return s.status != wire.InTransaction || s.expect.StatusPending() || runs && s.basis.script.Commits()
}

// tellDefinitions tells other sessions that what was announced may have taken effect, before
// the client gets the reply.
func (k *knowledge) tellDefinitions() {
	if len(k.definitions.open) > 0 {
		k.entry.Changed()
	}
}

// endDefinitions is called at each ReadyForQuery. At the end of a transaction its definitions
// have taken effect or never will.
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
		*d = definitions{made: d.made, secret: d.made, plain: d.plain} // the transaction goes on, and they may still take effect
	}
}

// noteDefinedUnseen tells other sessions of definitions in a session whose statements are not
// analyzed. It goes by the tags, which do not say what is defined, nor whether functions and DO
// define something.
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

// defining says that a statement with this tag may change what other statements do.
func defining(tag []byte) bool {
	return bytes.HasPrefix(tag, []byte("CREATE ")) || bytes.HasPrefix(tag, []byte("ALTER ")) ||
		bytes.HasPrefix(tag, []byte("IMPORT ")) || string(tag) == "COMMIT PREPARED"
}

// leaveDefinitions is called when the session parts with its server. What was announced may
// take effect until that server has ended.
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

// endAll notes that what was announced cannot take effect any more.
func endAll(entry *catalog.Entry, flights []uint64) {
	for _, n := range flights {
		entry.End(n)
	}
}
