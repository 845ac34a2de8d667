package effect

import (
	"slices"
	"strings"

	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
)

// set adds what SET or RESET of one setting does.
func (e *Effect) set(st *query.Statement) {
	c := Change{Name: st.Name, Value: st.Value, Local: st.Local}
	if st.Kind == query.Reset {
		c.Value = ""
	}
	switch {
	case st.Name == "transaction_isolation", st.Name == "transaction_read_only", st.Name == "transaction_deferrable": // they end with the transaction
		return
	case st.Name == "session_authorization":
		e.Add(Alone | Ask)
		return
	case st.Name == "seed":
		e.KeepFor("SET seed")
		e.Add(Spoils)
		return
	case st.Class == query.Unknown, !query.ASCII(st.Name):
		e.Add(Ask)
		e.placeholder(st.Name)
		return
	case st.Name == "standard_conforming_strings", st.Name == "client_encoding":
		e.Add(Alone) // the next statement cannot be read before this is known
	}
	e.Add(Sets)
	e.Changes = append(e.Changes, c)
}

// placeholder notes a placeholder setting, such as app.user, which pg_settings does not show.
func (e *Effect) placeholder(name string) {
	switch {
	case !query.ASCII(name): // how the server folds it depends on the encoding and the locale
		e.KeepFor("a setting whose name is not ASCII")
	case strings.Contains(name, "."):
		e.Add(Ask)
		e.Names = append(e.Names, name)
	}
}

const setConfig = "set_config"

// configures adds what set_config(name, value, is_local) does.
func (e *Effect) configures(f *query.Function) {
	if len(f.Arguments) != 3 || !f.Arguments[0].Constant || f.Arguments[0].Altered {
		e.may(catalog.Keeps, "set_config of a setting that the statement does not name")
		return
	}
	name := query.Fold(f.Arguments[0].Text)
	e.AddIf(Alone, name == "standard_conforming_strings" || name == "client_encoding")
	local := f.Arguments[2].Constant && !f.Arguments[2].Altered && choiceIsTrue(f.Arguments[2].Text)
	if local && !Meant(name) && !e.Has(Alone) {
		return // the value ends with the transaction
	}
	e.Add(Ask)
	e.placeholder(name)
}

// choiceIsTrue reads a literal of type boolean.
func choiceIsTrue(text string) bool {
	switch strings.ToLower(text) {
	case "t", "true", "on", "yes", "y", "1":
		return true
	}
	return false
}

// Meaning are the settings on which the meaning of a statement depends when it is parsed.
var Meaning = [...]string{
	"array_nulls", "backslash_quote", "datestyle", "intervalstyle", "search_path", "standard_conforming_strings",
	"timezone", "transform_null_equals", "xmloption",
	"role", "session_authorization", // they are "$user" in the search_path
}

// Meant says that a setting is one of them.
func Meant(name string) bool { return slices.Contains(Meaning[:], name) }
