package catalog

import (
	"regexp"
	"strings"
)

// defining are the statements of a body, also of one in a string that it executes,
// after which other statements may do more than before. Temporary objects belong to the
// session, and a table that the body creates does nothing but what the body says.
var defining = regexp.MustCompile(`\b(?:` +
	`create\s+(?:or\s+replace\s+)?(?:constraint\s+|recursive\s+|materialized\s+|trusted\s+|procedural\s+)*` +
	`(?:function|procedure|aggregate|trigger|event|rule|view|policy|operator|cast|type|domain|extension|foreign|language|schema|conversion|transform)` +
	`|create\s+(?:unlogged\s+)?table\b[^;]*\b(?:partition\s+of|inherits|like|of)` +
	`|alter\s+(?:function|procedure|routine|aggregate|table|foreign|view|trigger|event|rule|policy|operator|type|domain|extension)` +
	`|commit\s+prepared|import\s+foreign)\b`)

// Defines says that code, of a DO or of a function, may change what other statements
// do. It does not notice statements that are put together from pieces of words.
func Defines(code string) bool {
	code = strings.ToLower(code)
	some := strings.Contains(code, "create") || strings.Contains(code, "alter") || strings.Contains(code, "prepared") || strings.Contains(code, "import")
	return some && defining.MatchString(code)
}

// Own says that the database has a function by that name. Statements that use the name
// may do more once the function is redefined.
func (s *Snapshot) Own(name string) bool {
	if s.blind() {
		return true
	}
	_, own := s.functions[key(name)]
	return own
}

// Defines says that a call of the function may change what other statements do.
func (s *Snapshot) Defines(name string) bool { return !s.blind() && s.defines[key(name)] }

// definition is how far this is true of code and of those who use it.
type definition uint8

// define notes this for a body, by itself and through the functions that it may call.
func (r *reading) define(node, source string, words map[string]bool) {
	if Defines(source) {
		r.definitions.raise(node, 1)
	}
	for word := range words {
		if _, known := r.snapshot.functions[word]; known {
			r.definitions.uses(node, "f"+word)
		}
	}
}

func (r *reading) takeDefinitions() {
	r.definitions.settle()
	r.snapshot.defines = map[string]bool{}
	for node := range r.definitions.levels {
		r.snapshot.defines[node[1:]] = true
	}
}
