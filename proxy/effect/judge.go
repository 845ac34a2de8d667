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

// field is Function for a name after a dot, which need not be a function's.
func (j Judge) field(name string) (v catalog.Verdict, called bool) {
	if v, called = j.Known.Field(name); j.Harmless != nil && j.Harmless("", name) {
		v = catalog.Harmless
	}
	return v, called
}

// Unseen is what code leaves that nobody sees.
func (j Judge) Unseen() catalog.Verdict { return j.Known.Unseen() }

func (j Judge) Function(f *query.Function) catalog.Verdict {
	if j.Harmless != nil && j.Harmless(f.Schema, f.Name) {
		return catalog.Harmless
	}
	return j.Known.Function(f.Schema, f.Name)
}
