// Package statements is what a client has prepared: each statement, the names that the
// client calls them by, and the bytes that they count for. It knows nothing of sessions,
// and nothing of which server has which statement.
package statements

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strings"

	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/track"
)

// Statement is what a client has prepared.
type Statement struct {
	Text   string        // of the Parse, after the name
	Key    string        // by which sessions share it: the text, and what gave it its meaning
	Under  pool.Settings // those that gave it its meaning
	Script *query.Script // nil: it is too long to look into
	ID     uint64        // no other statement of any client has it
	// Unparsed says that its Parse was answered, and no server has seen it yet.
	Unparsed bool
	Round    uint64     // in which it came, as its session counts them
	Promise  pool.Shape // what the client was told of it, and relies on
	Closes   string     // the client's statement that it deallocates; "": none
	kept     int        // bytes that it counts for, while it has a name
}

// New makes the statement of a Parse. text is what follows the name in it.
func New(text string, script *query.Script, under pool.Settings) *Statement {
	st := &Statement{Text: text, Key: text, Under: under, Script: script}
	for _, name := range slices.Sorted(maps.Keys(under)) {
		st.Key += "\x00" + name + " " + under[name]
	}
	return st
}

// Number is the statement's, 0 if there is none.
func (st *Statement) Number() uint64 {
	if st == nil {
		return 0
	}
	return st.ID
}

// SQL is its text without the types of its parameters.
func (st *Statement) SQL() string {
	sql, _, _ := strings.Cut(st.Text, "\x00")
	return sql
}

// Typed is the text of its Parse, with the types of parameters that the client was told:
// PostgreSQL would find others once a table has changed.
func (st *Statement) Typed() string {
	types, known := st.Promise.Types()
	if !known {
		return st.Text
	}
	return st.SQL() + "\x00" + types
}

// ServedBy says that a statement as a server has it is what the client prepared, as far as
// the client was told.
func (st *Statement) ServedBy(there *pool.PreparedStatement) bool {
	return there != nil && !there.Outdated && !st.Unparsed && there.Shape.Keeps(&st.Promise)
}

// Shorten has a long statement found by a digest: servers hold on to keys longer than its
// client is there.
func (st *Statement) Shorten() {
	if len(st.Key) > keyLimit {
		sum := sha256.Sum256([]byte(st.Key))
		st.Key = "\x00sha256 " + string(sum[:])
	}
}

// keyLimit is the longest key that is not a digest, in bytes.
const keyLimit = 1 << 10

// statementSize is what a Statement takes by itself, in bytes, rounded up, with what a map
// needs for it.
const statementSize = 300

// Size is what a statement takes under that name, in bytes.
func (st *Statement) Size(name string) int {
	n := statementSize + len(name) + len(st.Text)
	if st.Key != st.Text {
		n += len(st.Key)
	}
	if st.Script != nil {
		n += int(st.Script.Size())
	}
	types, _ := st.Promise.Types()
	return n + len(types) + track.SizeOf(st.Under)
}
