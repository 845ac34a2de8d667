package query

import (
	"fmt"
	"strings"
)

// describe writes a Script as the tables in testdata do: statements are joined by " ; ".
func describe(s *Script) string {
	if s.Unknown() {
		return "problem: " + s.Problem.String()
	}
	if len(s.Statements) == 0 {
		return "nothing"
	}
	var all []string
	for i := range s.Statements {
		all = append(all, describeStatement(&s.Statements[i]))
	}
	return strings.Join(all, " ; ")
}

func describeStatement(st *Statement) string {
	var b strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	add("%s %s", st.Class, st.Kind)
	if st.Name != "" {
		add(" name=%q", st.Name)
	}
	if st.Value != "" {
		add(" value=%q", st.Value)
	}
	if st.Local {
		add(" local")
	}
	if st.Plain {
		add(" plain")
	}
	if len(st.Objects) > 0 {
		add(" objects=%s", strings.Join(st.Objects, ","))
	}
	if st.Chain {
		add(" chain")
	}
	if st.Mode.Isolation != "" {
		add(" isolation=%q", st.Mode.Isolation)
	}
	add("%s%s", [...]string{"", " read_only", " read_write"}[st.Mode.ReadOnly], [...]string{"", " deferrable", " not_deferrable"}[st.Mode.Deferrable])
	if st.Effects != 0 {
		add(" effects=%s", st.Effects)
	}
	for _, t := range st.Tables {
		add(" %s:%s", map[bool]string{true: "write", false: "read"}[t.Write], dotted(t.Schema, t.Name))
	}
	for _, f := range st.Functions {
		add(" %s", describeFunction(f))
	}
	if len(st.Fields) > 0 {
		add(" fields=%s", strings.Join(st.Fields, ","))
	}
	if st.Inner != nil {
		add(" {%s}", describeStatement(st.Inner))
	}
	return b.String()
}

func describeFunction(f Function) string {
	text := dotted(f.Schema, f.Name)
	if f.Mark == Harmless {
		return text + "()"
	}
	var args []string
	for _, a := range f.Arguments {
		switch {
		case a.Null:
			args = append(args, "null")
		case a.Altered:
			args = append(args, fmt.Sprintf("cast(%q)", a.Text))
		case a.Constant:
			args = append(args, fmt.Sprintf("%q", a.Text))
		case a.Parameter > 0:
			args = append(args, fmt.Sprintf("$%d", a.Parameter))
		default:
			args = append(args, "?")
		}
	}
	return fmt.Sprintf("%s(%s)!%s", text, strings.Join(args, ","), f.Mark)
}

func dotted(schema, name string) string {
	if schema == "" {
		return name
	}
	return schema + "." + name
}
