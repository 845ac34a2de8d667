package effect

import (
	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
)

// Judge is what names are judged by.
type Judge struct {
	Known    *catalog.Snapshot
	Harmless func(schema, name string) bool // as the configuration says; nil: none is
	Lasting  bool                           // what is made is temporary only if its text says so
}

// trusts says that the configuration has a function among the harmless.
func (j Judge) trusts(schema, name string) bool { return j.Harmless != nil && j.Harmless(schema, name) }

// field is Function for a name after a dot, which need not be a function's.
func (j Judge) field(name string) (v catalog.Verdict, called bool) {
	if v, called = j.Known.Field(name); j.trusts("", name) {
		v = catalog.Harmless
	}
	return v, called
}

// Unseen is what code leaves that nobody sees.
func (j Judge) Unseen() catalog.Verdict { return j.Known.Unseen() }

// Function is what a function may leave.
func (j Judge) Function(f *query.Function) catalog.Verdict {
	if j.trusts(f.Schema, f.Name) {
		return catalog.Harmless
	}
	return j.Known.Function(f.Schema, f.Name)
}
