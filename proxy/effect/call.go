package effect

import (
	"slices"

	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
)

// calls adds what the functions that a statement calls may leave.
func (e *Effect) calls(st *query.Statement, by Judge) {
	functions, fields := st.Functions, st.Fields
	if st.Kind == query.Explain && st.Inner != nil { // the planner may call functions of the statement that is explained
		functions, fields = st.Inner.Functions, st.Inner.Fields
	}
	for i := range functions {
		e.call(&functions[i], by)
	}
	for _, name := range fields {
		v, called := by.field(name)
		e.may(v, "function "+name)
		e.AddIf(Drawn, called)
	}
	switch {
	case st.Kind == query.Do:
		e.may(by.Unseen(), "DO")
	case st.Effects.Has(query.SetsConfig) && !slices.ContainsFunc(functions, func(f query.Function) bool { return f.Name == setConfig }):
		e.Add(Ask) // an UPDATE of pg_settings
	case st.Effects.Has(query.UnknownFunction) && len(functions) == 0:
		e.may(by.Unseen(), "what pgherd cannot look into")
	}
}

// call adds what one function may leave.
func (e *Effect) call(f *query.Function, by Judge) {
	switch {
	case f.Name == "pg_prepared_statement":
		e.reveals(true)
	case f.Mark != query.MarkSession: // even a function of PostgreSQL's may have an overload in the database, or be of a later version
		e.may(by.Function(f), "function "+f.Name)
		e.AddIf(Drawn, by.Known.Own(f.Name) && !by.trusts(f.Schema, f.Name))
	case f.Name == setConfig:
		e.configures(f)
	case catalog.Outlasts(f.Name):
		e.KeepFor(f.Name)
		e.Add(Spoils)
	case catalog.ReadsDrawn(f.Name):
		e.Add(Recalls)
		e.Recalled = f.Name
	case f.Name != "nextval" && f.Name != "setval":
		e.Add(Ask)
	}
}
