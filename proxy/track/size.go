package track

import (
	"pgherd/proxy/effect"
	"pgherd/proxy/query"
)

// Sizes of values in memory, in bytes, rounded up, with what a map needs for them.
const (
	settingSize = 100
	changeSize  = 50
)

// Size is what the client has pgherd keep, in bytes, about.
func (f *Tracker) Size() int { return f.bytes + f.changing }

// SizeOf is what settings take, or parameters that a session has set for itself.
func SizeOf(settings map[string]string) (n int) {
	for name, value := range settings {
		n += settingSize + len(name) + len(value)
	}
	return n
}

// sizeOfChange is what a change takes until its transaction ends.
func sizeOfChange(c *effect.Change) int { return changeSize + len(c.Name) + len(c.Value) }

// Adds is what an Effect adds to the session. RESET adds nothing, so that it can always
// make room, but to a transaction that has set more than that.
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

func runsSize(name string, inner []*query.Statement) int {
	n := settingSize + len(name)
	for _, st := range inner {
		n += st.Size() + st.Length
	}
	return n
}

// weigh counts anew what the session has set, and prepared in SQL.
func (f *Tracker) weigh() {
	f.bytes = SizeOf(f.Settings)
	for name, inner := range f.Runs {
		f.bytes += runsSize(name, inner)
	}
}
