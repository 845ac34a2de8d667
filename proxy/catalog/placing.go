package catalog

import (
	"strings"

	"pgherd/proxy/route"
)

// Placing is a Snapshot as package route uses it: which functions and relations a read
// may use away from the primary. It knows nothing of temporary relations.
type Placing Snapshot

// Placing also works for a nil Snapshot.
func (s *Snapshot) Placing() route.Catalog { return (*Placing)(s) }

// ReadCommitted says that transactions are READ COMMITTED in a session that has not
// changed default_transaction_isolation itself. It is false if that is not certain.
func (s *Snapshot) ReadCommitted() bool { return s != nil && s.readCommitted }

// Function is Reads, Writes (also if it reads what is not on every node) or Unheard,
// for all overloads of a name.
func (p *Placing) Function(schema, name string) route.Known {
	s := (*Snapshot)(p)
	builtin, known := places()[name]
	known = known && (schema == "" || schema == "pg_catalog")
	switch {
	case temporary(schema):
		return route.Unheard
	case known && builtin != anywhere:
		return route.Writes
	case s.blind():
		return route.Unheard
	}
	if own, listed := s.calls[key(name)]; listed {
		return own.function()
	}
	if known {
		return route.Reads
	}
	return route.Unheard
}

// Relation is Reads, Writes, Unlogged, System or Unheard, for the relations of all
// schemas by that name.
func (p *Placing) Relation(schema, name string) route.Known {
	s := (*Snapshot)(p)
	own := anywhere
	switch {
	case temporary(schema):
		return route.Temporary
	case schema == "information_schema", strings.HasPrefix(schema, "pg_"):
		return route.System
	case schema == "" && strings.HasPrefix(name, "pg_"):
		own = system
	}
	if !s.blind() {
		if known, listed := s.relations[key(name)]; listed {
			return max(own, known).relation()
		}
	}
	if own == anywhere {
		return route.Unheard
	}
	return own.relation()
}

// Field is Function for a name after a dot, and Unheard if no user's function can be
// meant.
func (p *Placing) Field(name string) route.Known {
	if s := (*Snapshot)(p); !s.blind() && len(s.fields) > 0 && s.fields[key(name)] {
		return s.calls[key(name)].function()
	}
	return route.Unheard
}

// Anything is what a text does not name: operators, casts, types, domains.
func (p *Placing) Anything() route.Known {
	if s := (*Snapshot)(p); !s.blind() {
		return s.unnamed.function()
	}
	return route.Unheard
}
