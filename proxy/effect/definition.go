package effect

import (
	"slices"

	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
)

// defines says that other statements may do more after a statement than before: those
// that reach what it names as its Objects, or any.
func defines(st *query.Statement, by Judge) bool {
	switch {
	case st.Kind == query.CommitPrepared:
		return true
	case st.Kind == query.DDL && !st.Plain:
		return true
	case st.Kind == query.DDL, tableAs(st): // of a materialized view the query runs again
		return by.Known.DDL() != catalog.Harmless || ties(st, by) || st.Inner != nil && ties(st.Inner, by)
	case st.Kind == query.Do && catalog.Defines(st.Value):
		return true
	}
	return slices.ContainsFunc(st.Functions, func(f query.Function) bool {
		return by.Known.Defines(f.Name) && !by.trusts(f.Schema, f.Name)
	})
}

// ties says that a definition has something call what is not harmless, or may be defined
// anew: who does that has to know.
func ties(st *query.Statement, by Judge) bool {
	return slices.ContainsFunc(st.Fields, by.Known.Own) || slices.ContainsFunc(st.Functions, func(f query.Function) bool {
		return by.Function(&f) != catalog.Harmless || catalog.ReadsDrawn(f.Name) || by.Known.Own(f.Name)
	})
}

// objects are those of a definition, if no event trigger may define more.
func objects(st *query.Statement, by Judge) []string {
	if by.Known.DDL() != catalog.Harmless {
		return nil
	}
	return st.Objects
}

// tableAs says that a statement makes a table of what it reads.
func tableAs(st *query.Statement) bool {
	return st.Kind == query.CreateTableAs || st.Kind == query.ExplainAnalyze && st.Inner.Kind == query.CreateTableAs
}
