package catalog

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	// maxSource limits the bytes of function bodies that are asked for (four times as
	// many on the wire, if none are ASCII). Functions beyond it are Keeps.
	maxSource = 16 << 20
	// maxRows is the longest answer that is read. Beyond it nothing is known of the
	// database, as with a nil Snapshot.
	maxRows = 200_000
)

//go:embed question.sql
var questionText string

// question is the text with all but the version filled in.
var question = sync.OnceValue(func() string {
	keeps, fixed := strings.Join(append(readers, names(builtins())), ","), names(places())
	return strings.NewReplacer("{{builtins}}", keeps, "{{fixed}}", fixed, "{{forgetful}}", Forgetful(), "{{maxSource}}", strconv.Itoa(maxSource),
		"{{maxRows}}", strconv.Itoa(maxRows+1)).Replace(questionText)
})

// names are those about which there is something to say.
func names[V ~uint8](of map[string]V) string {
	var list []string
	for name, v := range of {
		if v != 0 {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

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
