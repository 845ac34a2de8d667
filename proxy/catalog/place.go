package catalog

import (
	"sync"

	"pgherd/proxy/query"
	"pgherd/proxy/route"
)

// place is why something must not be used away from the primary. The worst of several
// is their maximum.
type place uint8

const (
	anywhere place = iota
	system         // differs from node to node
	unlogged       // is empty on a standby
	writes         // is volatile, or cannot be read
)

// relation is the name by which route knows it.
func (p place) relation() route.Known {
	return [...]route.Known{anywhere: route.Reads, system: route.System, unlogged: route.Unlogged, writes: route.Writes}[p]
}

// function is the name by which route knows it; of functions it only distinguishes
// whether they need the primary.
func (p place) function() route.Known {
	if p == anywhere {
		return route.Reads
	}
	return route.Writes
}

// places are all functions of pg_catalog. Where a text must not call one, a body or a
// view must not either.
var places = sync.OnceValue(func() map[string]place {
	known := map[string]place{"pg_start_backup": writes, "pg_stop_backup": writes} // until PostgreSQL 14
	query.Builtins(func(name string, mark query.Mark, _ query.Effects) {
		known[name] = placeOf(name, mark)
	})
	return known
})

// placeOf asks route about SELECT name().
func placeOf(name string, mark query.Mark) place {
	call := query.Statement{Class: query.Read, Kind: query.Select, Functions: []query.Function{{Name: name, Mark: mark}}}
	r := route.Request{Script: &query.Script{Statements: []query.Statement{call}}, Catalog: empty{}}
	switch d := route.Place(&r, &route.Settings{Balance: true}); {
	case d.Where == route.Anywhere:
		return anywhere
	case mark == query.Harmless:
		return system
	}
	return writes
}

// empty is a database without objects.
type empty struct{}

func (empty) Function(_, _ string) route.Known { return route.Unheard }
func (empty) Relation(_, _ string) route.Known { return route.Unheard }
func (empty) Field(_ string) route.Known       { return route.Unheard }
func (empty) Anything() route.Known            { return route.Reads }

// ofRelation decides about a relation by itself, by its pg_class.relkind and
// relpersistence. A foreign table may be a file on its node. On a standby, sequences
// are ahead by what the primary has logged in advance.
func ofRelation(kind, persistence byte) place {
	switch {
	case kind == 'f':
		return writes
	case persistence == 'u':
		return unlogged
	case kind == 'S':
		return system
	}
	return anywhere
}
