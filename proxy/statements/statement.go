// Package statements keeps what a client has prepared: each statement, the names by which the
// client calls them, and the bytes that they count for. It knows nothing of sessions, nor of which
// server has which statement.
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

// Statement is a statement that a client has prepared.
type Statement struct {
	Text   string        // of the Parse, from the end of the name: the SQL and the types of parameters
	Key    string        // by which sessions share it; made of Text and Under
	Under  pool.Settings // the settings under which it was parsed, and which give it its meaning
	Script *query.Script // nil if it is too long to look into
	ID     uint64        // no other statement of any client has it
	// Unparsed says that pgherd has answered its Parse, which no server has seen yet.
	Unparsed bool
	Round    uint64     // the round in which its Parse came; a round ends with a Sync or Query
	Promise  pool.Shape // what the client was told of its types, and relies on
	Closes   string     // the client's statement that it deallocates; "" if there is none
	kept     int        // the bytes that it counts for, while it has a name
}

// New makes the statement of a Parse. text is what follows the name in the Parse.
func New(text string, script *query.Script, under pool.Settings) *Statement {
	st := &Statement{Text: text, Key: text, Under: under, Script: script}
	for _, name := range slices.Sorted(maps.Keys(under)) {
		st.Key += "\x00" + name + " " + under[name]
	}
	return st
}

// Number is the statement's ID; 0 if there is no statement.
func (st *Statement) Number() uint64 {
	if st == nil {
		return 0
	}
	return st.ID
}

// SQL is the text without the types of the parameters.
func (st *Statement) SQL() string {
	sql, _, _ := strings.Cut(st.Text, "\x00")
	return sql
}

// Typed is the text of a Parse that declares the parameters' types as the client was told them.
// Without them PostgreSQL could choose other types once a table has changed.
func (st *Statement) Typed() string {
	types, known := st.Promise.Types()
	if !known {
		return st.Text
	}
	return st.SQL() + "\x00" + types
}

// ServedBy says that the statement there, as a server has it, will do for the client. It has not
// changed since the client was told its types.
func (st *Statement) ServedBy(there *pool.PreparedStatement) bool {
	return there != nil && !there.Outdated && !st.Unparsed && there.Shape.Keeps(&st.Promise)
}

// Shorten replaces the key of a long statement by a digest, because servers keep keys for longer
// than the client is there.
func (st *Statement) Shorten() {
	if len(st.Key) > keyLimit {
		sum := sha256.Sum256([]byte(st.Key))
		st.Key = "\x00sha256 " + string(sum[:])
	}
}

// keyLimit is the longest key that is not a digest, in bytes.
const keyLimit = 1 << 10

// statementSize is the memory of a Statement without its texts, and of its place in a map, in
// bytes, rounded up.
const statementSize = 300

// Size is how many bytes a statement takes under that name.
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
