package catalog

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	// maxSource is how many bytes of function bodies are asked for (four times that
	// on the wire, if none were ASCII); the functions beyond it are Keeps.
	maxSource = 16 << 20
	// maxRows is the longest answer that is read; beyond it nothing is known of the
	// database, as with a nil Snapshot.
	maxRows = 200_000
)

//go:embed question.sql
var questionText string

// question is the text with all but the version filled in.
var question = sync.OnceValue(func() string {
	var unsafe []string
	for name, verdict := range builtins() {
		if verdict != Harmless {
			unsafe = append(unsafe, "'"+name+"'")
		}
	}
	slices.Sort(unsafe)
	return strings.NewReplacer("{{builtins}}", strings.Join(unsafe, ", "), "{{maxSource}}", strconv.Itoa(maxSource),
		"{{maxRows}}", strconv.Itoa(maxRows+1)).Replace(questionText)
})

// Question is one string for a simple Query outside of a transaction, of several
// statements, all of whose rows are for Read. If the database has not changed since
// previous, which may be nil, the answer is one row and costs less.
func Question(previous *Snapshot) string {
	version := ""
	if previous != nil {
		version = previous.version
	}
	return strings.Replace(question(), "{{version}}", version, 1)
}
