package session

import (
	"slices"
	"strconv"

	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// vacating is what a session remembers of statements that want databases for themselves:
// DROP DATABASE and its like.
type vacating struct {
	wants map[string][]query.Vacate // of prepared statements, by name
	held  []hold                    // for what is under way
}

// hold is a database that others are kept out of.
type hold struct {
	query.Vacate
	free func()
}

// wantsLimit bounds the prepared statements that want databases; those beyond it get no
// help.
const wantsLimit = 1000

// vacate empties the databases that a request wants for itself, before it is sent: idle
// servers of pgherd's are nobody who uses them.
func (s *relaying) vacate(m *wire.Message) error {
	wants := s.wanted(m)
	if len(wants) == 0 {
		return nil
	}
	if err := s.quiesce(); err != nil { // what was asked before frees what it has held itself
		return err
	}
	for _, want := range wants {
		clients, free, err := s.loop.Vacate(want.Database, want.Force)
		if err != nil {
			return err
		}
		if clients > 0 {
			return accessed(want, clients)
		}
		s.held = append(s.held, hold{want, free})
	}
	return nil
}

// wanted are the databases that a request wants. A Parse is taken down.
func (s *relaying) wanted(m *wire.Message) []query.Vacate {
	switch m.Kind {
	case wire.Query, wire.Parse:
		sql, ok := statementText(m)
		if !ok || s.follows && s.script != nil && !mayVacate(s.script) {
			sql = nil
		}
		wants := query.Vacates(sql, s.syntax)
		if m.Kind == wire.Query {
			return wants
		}
		s.want(m, wants)
	case wire.Bind:
		if len(s.wants) > 0 {
			_, name, _ := wire.BindNames(m.Body())
			return s.wants[string(name)]
		}
	}
	return nil
}

// want takes down what a statement wants that is prepared.
func (v *vacating) want(m *wire.Message, wants []query.Vacate) {
	if len(wants) == 0 && len(v.wants) == 0 || !m.Last {
		return
	}
	parse, err := wire.ViewParse(m.Body())
	switch {
	case err != nil:
	case len(wants) == 0:
		delete(v.wants, string(parse.Name))
	case len(v.wants) < wantsLimit:
		if v.wants == nil {
			v.wants = map[string][]query.Vacate{}
		}
		v.wants[string(parse.Name)] = wants
	}
}

// mayVacate says that a text has definitions.
func mayVacate(script *query.Script) bool {
	return script.Unknown() || slices.ContainsFunc(script.Statements, func(st query.Statement) bool { return st.Kind == query.DDL || st.Class == query.Unknown })
}

// accessed is PostgreSQL's error: who is logged in uses the database, with a server or without.
func accessed(want query.Vacate, clients int) error {
	what, detail := "database", "There is 1 other session using the database."
	if want.Copies {
		what = "source database"
	}
	if clients > 1 {
		detail = "There are " + strconv.Itoa(clients) + " other sessions using the database."
	}
	return &wire.Fault{Severity: "ERROR", Code: "55006", Message: what + ` "` + want.Database + `" is being accessed by other users`, Detail: detail}
}

// vacated: a statement that wanted databases for itself is done with.
func (s *relaying) vacated(m wire.Message) {
	if m.Kind == wire.CommandComplete {
		if v, err := wire.ViewCommandComplete(m.Body()); err != nil || string(v.Tag) != "DROP DATABASE" {
			return
		}
		for _, it := range s.held {
			if it.Force {
				s.loop.SendAway(it.Database)
			}
		}
		return
	}
	s.letOthers()
}

// letOthers lets others have servers again of what is held.
func (v *vacating) letOthers() {
	for _, it := range v.held {
		it.free()
	}
	v.held = nil
}
