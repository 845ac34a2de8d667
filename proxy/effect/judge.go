package effect

import (
	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
)

// Judge is what the names in a text are judged by.
type Judge struct {
	Known    *catalog.Snapshot
	Harmless func(schema, name string) bool // a function that the configuration lists as harmless; nil if it lists none
	Lasting  bool                           // an object that is made is temporary only if the text says so
}

// trusts says that the configuration lists a function as harmless.
func (j Judge) trusts(schema, name string) bool { return j.Harmless != nil && j.Harmless(schema, name) }

// field is Function for a name after a dot, which may be a function or a column.
func (j Judge) field(name string) (v catalog.Verdict, called bool) {
	if v, called = j.Known.Field(name); j.trusts("", name) {
		v = catalog.Harmless
	}
	return v, called
}

// Unseen is what code that pgherd does not analyze may leave.
func (j Judge) Unseen() catalog.Verdict { return j.Known.Unseen() }

// Function is what a function may leave.
func (j Judge) Function(f *query.Function) catalog.Verdict {
	if j.trusts(f.Schema, f.Name) {
		return catalog.Harmless
	}
	return j.Known.Function(f.Schema, f.Name)
}
