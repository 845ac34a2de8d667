package catalog

import (
	"slices"

	"pgherd/proxy/query"
)

// Concerns says that a script may do something different once the behaviour of these
// functions and relations has changed; without any, that of anything. It errs towards
// true.
func (s *Snapshot) Concerns(objects []string, script *query.Script) bool {
	if s.blind() || len(objects) == 0 {
		return true
	}
	touched := map[string]bool{}
	s.touchAll(touched, objects)
	return s.meets(script, touched)
}

// touchAll adds everything that these functions and relations affect.
func (s *Snapshot) touchAll(touched map[string]bool, objects []string) {
	for _, object := range objects {
		object = key(object)
		for _, kind := range "frw" {
			s.touch(touched, string(kind)+object)
		}
		if !s.names[object] { // some body may contain its name already
			touched[anyText] = true
		}
	}
}

// meets says that a script executes something that is touched.
func (s *Snapshot) meets(script *query.Script, touched map[string]bool) bool {
	if script == nil || script.Unknown() {
		return true
	}
	return slices.ContainsFunc(script.Statements, func(st query.Statement) bool { return s.reaches(&st, touched) })
}

// anyText stands for everything that runs the text of a function, which may name
// anything.
const anyText = "text"

// touch adds a node and all its users.
func (s *Snapshot) touch(touched map[string]bool, node string) {
	open := []string{node}
	for len(open) > 0 {
		node := open[len(open)-1]
		open = open[:len(open)-1]
		if touched[node] {
			continue
		}
		touched[node] = true
		switch node[0] { // as raise has it
		case 'r':
			open = append(open, "w"+node[1:])
		case 's':
			open = append(open, "r"+node[1:])
		}
		open = append(open, s.users[node]...)
	}
}

// reaches is meets for one statement.
func (s *Snapshot) reaches(st *query.Statement, touched map[string]bool) bool {
	is := func(node string) bool { return touched[node] || touched[anyText] && s.texts[node] }
	if is("a") || is("d") && (st.Kind == query.DDL || st.Kind == query.CreateTableAs) {
		return true
	}
	for _, f := range st.Functions {
		if is("f" + key(f.Name)) {
			return true
		}
	}
	for _, t := range st.Tables {
		if t.Write && is("w"+key(t.Name)) || is("r"+key(t.Name)) {
			return true
		}
	}
	for _, f := range st.Fields {
		if is("f" + key(f)) {
			return true
		}
	}
	return st.Kind == query.Do || st.Kind == query.Execute || st.Inner != nil && s.reaches(st.Inner, touched)
}

// takeReach keeps the part of the graph that says who uses whom, and what runs the text
// of a function.
func (r *reading) takeReach() {
	s := &r.snapshot
	s.users, s.names, s.texts = r.verdicts.users, r.names, map[string]bool{}
	for name := range s.relations {
		s.names[name] = true
	}
	for _, node := range r.texts {
		s.touch(s.texts, node)
	}
}
