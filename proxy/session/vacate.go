package session

import (
	"slices"
	"strconv"

	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// vacating is what a session remembers of statements that need a database in which nobody else
// is, such as DROP DATABASE.
type vacating struct {
	wants map[string][]query.Vacate // what prepared statements need, by the statement's name
	held  []hold                    // the databases that the request under way needs
}

// hold is a database that other sessions get no servers of until free is called.
type hold struct {
	query.Vacate
	free func()
}

// wantsLimit bounds the prepared statements that are remembered. For others pgherd empties no
// database.
const wantsLimit = 1000

// vacate empties the databases that a request wants for itself, before the request is sent.
// PostgreSQL would refuse it because of pgherd's idle servers, which no client uses.
func (s *relaying) vacate(m *wire.Message) error {
	wants := s.wanted(m)
	if len(wants) == 0 {
		return nil
	}
	if err := s.quiesce(); err != nil { // an earlier request gives up the databases that it holds
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

// wanted are the databases that a request wants for itself. Those of a Parse are noted for its
// Bind.
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

// want notes the databases that a prepared statement wants.
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

// mayVacate says that a text has DDL, or a statement that pgherd does not know.
func mayVacate(script *query.Script) bool {
	return script.Unknown() || slices.ContainsFunc(script.Statements, func(st query.Statement) bool { return st.Kind == query.DDL || st.Class == query.Unknown })
}

// accessed is PostgreSQL's error for a database that is in use. A client that is logged in uses
// it, whether or not it has a server.
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

// vacated is called when a statement that wanted databases for itself, or its request, has
// ended. After DROP DATABASE WITH (FORCE) the clients of that database are sent away.
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

// letOthers lets other sessions have servers of the databases again.
func (v *vacating) letOthers() {
	for _, it := range v.held {
		it.free()
	}
	v.held = nil
}
