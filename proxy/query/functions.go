package query

import (
	_ "embed"
	"strings"
	"sync"
)

// Mark is what calling a function may do to the session and to the choice of a node.
type Mark uint8

const (
	// NotKnown is a function that is not PostgreSQL's, or that runs SQL given as text.
	NotKnown Mark = iota
	// Harmless may run on any node and leaves the session as it was.
	Harmless
	// MarkWrite has to run on the primary and leaves the session as it was.
	MarkWrite
	// MarkSession changes the session, or reads what only its server knows of it.
	MarkSession
)

var markNames = [...]string{"unknown", "harmless", "write", "session"}

func (m Mark) String() string { return markNames[m] }

// builtin is what is known of a name in pg_catalog; it covers all its overloads.
type builtin struct {
	mark     Mark
	volatile bool
	effects  Effects
}

//go:embed functions.txt
var functionsText string

//go:embed immutable.txt
var immutableText string

var builtins = sync.OnceValue(func() map[string]builtin {
	known := map[string]builtin{}
	for line := range strings.Lines(immutableText) {
		if name := strings.TrimSpace(line); name != "" && name[0] != '#' {
			known[name] = builtin{mark: Harmless}
		}
	}
	for line := range strings.Lines(functionsText) {
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] != "#" {
			known[fields[0]] = readBuiltin(fields)
		}
	}
	return known
})

func readBuiltin(fields []string) builtin {
	b := builtin{volatile: true}
	for m, name := range markNames {
		if fields[2] == name {
			b.mark = Mark(m)
		}
	}
	if len(fields) > 3 {
		for name := range strings.SplitSeq(fields[3], ",") {
			b.effects |= effectNamed(name)
		}
	}
	return b
}

// lookUp finds a function by the name in a statement. A name without a schema is taken
// to be in pg_catalog, which comes first in every search_path that does not name it
// elsewhere.
func lookUp(schema, name string) builtin {
	if schema == "" || schema == "pg_catalog" {
		if b, ok := builtins()[name]; ok {
			return b
		}
	}
	return builtin{mark: NotKnown, volatile: true, effects: UnknownFunction}
}

// Builtins calls each with every function of pg_catalog in the lists, in no order. It
// serves the analysis of texts that are not a client's, such as bodies of functions.
func Builtins(each func(name string, mark Mark, effects Effects)) {
	for name, b := range builtins() {
		each(name, b.mark, b.effects)
	}
}
