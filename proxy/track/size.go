package track

import (
	"pgherd/proxy/effect"
	"pgherd/proxy/query"
)

// Sizes of values in memory and of their places in a map, in bytes, rounded up.
const (
	settingSize = 100
	changeSize  = 50
)

// Size is how many bytes pgherd keeps for the client here, roughly.
func (f *Tracker) Size() int { return f.bytes + f.changing }

// SizeOf is how many bytes settings take, or pgherd's parameters that a session has set for itself.
func SizeOf(settings map[string]string) (n int) {
	for name, value := range settings {
		n += settingSize + len(name) + len(value)
	}
	return n
}

// sizeOfChange is how many bytes a change takes until its transaction ends.
func sizeOfChange(c *effect.Change) int { return changeSize + len(c.Name) + len(c.Value) }

// Adds is how many bytes an Effect adds to the session. A RESET adds nothing, so that a client can
// always make room by it, except in a transaction that has changed settings before.
func (f *Tracker) Adds(e *effect.Effect) (n int) {
	for i := range e.Changes {
		if c := &e.Changes[i]; c.Value != "" || len(f.changes) > 0 {
			n += sizeOfChange(c)
		}
	}
	for name, inner := range e.Prepares {
		n += runsSize(name, inner)
	}
	return n
}

// runsSize is how many bytes a statement of SQL PREPARE takes.
func runsSize(name string, inner []*query.Statement) int {
	n := settingSize + len(name)
	for _, st := range inner {
		n += st.Size() + st.Length
	}
	return n
}

// weigh counts anew the bytes of what the session has set, and prepared in SQL.
func (f *Tracker) weigh() {
	f.bytes = SizeOf(f.Settings)
	for name, inner := range f.Runs {
		f.bytes += runsSize(name, inner)
	}
}
