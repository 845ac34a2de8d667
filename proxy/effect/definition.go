package effect

import (
	"slices"

	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
)

// defines says that after a statement other statements may do more than before. These are the
// statements that reach one of its Objects; if it has none, they may be any.
func defines(st *query.Statement, by Judge) bool {
	switch {
	case st.Kind == query.CommitPrepared:
		return true
	case st.Kind == query.DDL && !st.Plain:
		return true
	case st.Kind == query.DDL, tableAs(st): // the query of a materialized view runs again at each refresh
		return by.Known.DDL() != catalog.Harmless || ties(st, by) || st.Inner != nil && ties(st.Inner, by)
	case st.Kind == query.Do && catalog.Defines(st.Value):
		return true
	}
	return slices.ContainsFunc(st.Functions, func(f query.Function) bool {
		return by.Known.Defines(f.Name) && !by.trusts(f.Schema, f.Name)
	})
}

// ties says that a definition makes something call a function that is not harmless, or a function
// of the database's own, which may be defined anew later.
func ties(st *query.Statement, by Judge) bool {
	return slices.ContainsFunc(st.Fields, by.Known.Own) || slices.ContainsFunc(st.Functions, func(f query.Function) bool {
		return by.Function(&f) != catalog.Harmless || catalog.ReadsDrawn(f.Name) || by.Known.Own(f.Name)
	})
}

// objects are what a definition changes. They are nil, for anything, if an event trigger may
// change more.
func objects(st *query.Statement, by Judge) []string {
	if by.Known.DDL() != catalog.Harmless {
		return nil
	}
	return st.Objects
}

// tableAs says that a statement makes a table of the rows that it reads.
func tableAs(st *query.Statement) bool {
	return st.Kind == query.CreateTableAs || st.Kind == query.ExplainAnalyze && st.Inner.Kind == query.CreateTableAs
}
