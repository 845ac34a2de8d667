// Package catalog says which functions and relations of one database may leave
// something in a session that no text shows: user-defined functions, and the
// triggers, rules, views, row security policies, defaults, check constraints,
// domains, operators, types and casts that run them. It also says which functions
// and relations a read may use away from the primary (Placing).
//
// Contract: pure functions and an immutable Snapshot, which any number of
// goroutines may share. Question is the SQL to ask, Read makes a Snapshot of the
// answer; somebody else runs it, as any user, on PostgreSQL 12 or later. Read may
// take long (it reads the source of every function) and belongs off a worker's
// thread. Asking again costs a fraction while nothing has changed. Measured with
// PostgreSQL 15, 2,000 functions, 5,000 tables, as many sequences, and 500 views, on 2
// busy cores: Question 0.55 s, 0.07 s while nothing has changed, Read 0.1 s
// (BenchmarkQuestion). It is subject to the session's statement_timeout.
//
// A verdict errs towards Keeps, and towards Spoils. Taken on trust are:
//   - a function declared IMMUTABLE that is neither SQL nor PL/pgSQL, and one of C declared
//     STABLE: harmless. So are the extensions in extensions.go, and what partition keys
//     call. Likewise C functions in operator classes, as estimators of selectivity, and
//     of text search, conversions and access methods.
//   - pg_catalog: as package query's list of PostgreSQL 13 to 18 says. A function that is
//     newer than the list, called from a body, counts as harmless.
//   - set_config(..., true) and SET LOCAL end with the transaction. They leave a
//     setting such as app.user known, and empty instead of not there.
//   - nextval, currval and lastval: judged harmless; the caller sees to sequences.
//   - an UPDATE of pg_settings, also through a view or rule, sets what pg_settings lists.
//   - temporary objects are not looked at: who makes one is told by query.
//
// Placing errs towards the primary. Taken on trust there are:
//   - a function declared IMMUTABLE, and one declared STABLE that is neither SQL nor
//     PL/pgSQL. One declared VOLATILE needs the primary, whatever it does.
//   - functions of pg_catalog that a view or a body uses: as package route judges
//     them in a text outside of a transaction block, so that now() may be anywhere.
//   - PostgreSQL itself, which lets no function declared STABLE write directly.
//   - children of a table are read with their parent's policies, so that their own
//     do not count there.
//
// Names are compared without their schemas, as one name for all overloads.
package catalog

import (
	"strings"
	"sync"

	"pgherd/proxy/query"
)

// Verdict is what using a name may leave in the session unseen. The worst of several is
// their maximum.
type Verdict uint8

const (
	// Harmless leaves nothing.
	Harmless Verdict = iota
	// Asks may leave something for which the server can be asked: temporary objects,
	// session locks, LISTEN, cursors, prepared statements, settings that pg_settings
	// lists.
	Asks
	// Keeps may leave something that no question can find: a setting like app.user, a
	// role. The session must keep its server until DISCARD ALL.
	Keeps
	// runs is code that cannot be read, because it is SQL that is put together while it
	// runs. No caller gets this verdict; see told.
	runs
	// Spoils may leave something that DISCARD ALL does not remove: a seed, a connection
	// of dblink, the state of another language. The server must be closed in the end.
	Spoils
	// Reveals shows the statements that are prepared on its server, which must be the
	// session's own. It may be Spoils as well.
	Reveals
)

var verdictNames = [...]string{"harmless", "asks", "keeps", "runs", "spoils", "reveals"}

func (v Verdict) String() string { return verdictNames[v] }

// Snapshot is what was read of one database. A nil one knows nothing.
type Snapshot struct {
	version       string             // changes whenever the answer may have changed
	unread        bool               // the answer was longer than maxRows, so nothing is known
	spoiling      bool               // some function or language of the database Spoils
	functions     map[string]Verdict // every user function
	reads, writes map[string]Verdict // relations that are not Harmless
	anything, ddl Verdict
	defines       map[string]bool     // functions that change what other statements do
	users         map[string][]string // who uses what; see graph
	texts         map[string]bool     // nodes that run the text of a function
	names         map[string]bool     // of all functions and relations

	calls     map[string]place // every user function
	fields    map[string]bool  // those that can be called with one argument: f(x) is also x.f
	relations map[string]place // every relation of users that is not temporary
	unnamed   place            // what a text does not name
	peeks     bool
	defaults
}

// defaults are the settings with which sessions begin.
type defaults struct {
	readCommitted bool // their transactions are
	lasting       bool // what they create is not temporary unless they say so
}

// Lasting says that what a session creates is temporary only if it says so, perhaps by
// its own search_path.
func (s *Snapshot) Lasting() bool { return s != nil && s.lasting }

func (s *Snapshot) blind() bool { return s == nil || s.unread }

// Unseen is the verdict on code that cannot be read: Keeps, or Spoils if the database
// has something that Spoils which it could call.
func (s *Snapshot) Unseen() Verdict {
	if s.blind() || s.spoiling {
		return Spoils
	}
	return Keeps
}

func (s *Snapshot) told(v Verdict) Verdict {
	if v == runs {
		return s.Unseen()
	}
	return v
}

// Function is the verdict on a function or procedure; the schema is empty if the
// statement names none. It also answers for pg_catalog, because a database may have an
// overload of now or lower, which a statement's text does not show. So ask about every
// function. A function that is not known is Spoils: it was created without pgherd since
// the answer, and may do anything.
func (s *Snapshot) Function(schema, name string) Verdict {
	if temporary(schema) || s.blind() && schema != "pg_catalog" {
		return s.Unseen()
	}
	builtin, known := builtins()[name]
	if !s.blind() {
		if v, listed := s.functions[key(name)]; listed {
			return s.told(max(v, builtin))
		}
	}
	switch {
	case known:
		return s.told(builtin)
	case schema == "information_schema":
		return Harmless
	case s.version == "": // nobody has asked yet what the database has
		return s.Unseen()
	}
	return Spoils
}

// Relation is the verdict on reading a table or view, or on writing to it (which may
// read it as well).
func (s *Snapshot) Relation(schema, name string, write bool) Verdict {
	switch {
	case temporary(schema):
		return s.Unseen()
	case s.blind():
		if schema == "pg_catalog" || schema == "information_schema" || schema == "" && strings.HasPrefix(name, "pg_") {
			return Harmless
		}
		return Spoils
	case write:
		return s.writes[key(name)]
	}
	return s.reads[key(name)]
}

// Field is the verdict on a name after a dot: t.f is f(t) if t has no column f. It is
// not called if no user's function can be meant; package query finds those of
// pg_catalog.
func (s *Snapshot) Field(name string) (v Verdict, called bool) {
	if s.blind() || len(s.fields) == 0 {
		return Harmless, false
	}
	name = key(name)
	return s.functions[name], s.fields[name]
}

// Anything is what every statement may do through operators, casts, types and domains,
// which a text does not name.
func (s *Snapshot) Anything() Verdict {
	if s.blind() {
		return Spoils
	}
	return s.anything
}

// DDL is what statements that define, change or drop objects may also do, through event
// triggers.
func (s *Snapshot) DDL() Verdict {
	if s.blind() {
		return Spoils
	}
	return s.ddl
}

func temporary(schema string) bool {
	return schema == "pg_temp" || strings.HasPrefix(schema, "pg_temp_")
}

// nameBytes is how many bytes of a name PostgreSQL keeps by default.
const nameBytes = 63

// key is the part of a name that is compared. The encodings of client and database may
// differ, so all text that is not ASCII counts as equal.
func key(name string) string {
	ascii := strings.IndexFunc(name, func(r rune) bool { return r >= 0x80 }) < 0
	if ascii {
		return name[:min(len(name), nameBytes)]
	}
	var b strings.Builder
	foreign := false
	for _, c := range []byte(name) {
		if c < 0x80 {
			b.WriteByte(c)
		} else if !foreign {
			b.WriteByte('?')
		}
		foreign = c >= 0x80
	}
	return b.String()
}

// builtins are all of pg_catalog's functions.
var builtins = sync.OnceValue(func() map[string]Verdict {
	known := map[string]Verdict{"pg_stop_backup": Keeps} // until PostgreSQL 14
	query.Builtins(func(name string, mark query.Mark, effects query.Effects) {
		known[name] = builtin(mark, effects)
	})
	for name := range outlasting {
		known[name] = Spoils
	}
	known["pg_prepared_statement"] = Reveals
	return known
})

func builtin(mark query.Mark, effects query.Effects) Verdict {
	switch {
	case effects.Has(query.AdvisoryLock | query.LargeObject):
		return Asks
	case mark == query.Harmless, mark == query.MarkWrite:
		return Harmless
	case effects.Has(query.ReadsSequence | query.UsesCursor):
		return Harmless
	case mark == query.NotKnown:
		return runs // SQL given as text
	}
	return Keeps // settings
}
