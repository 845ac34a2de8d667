package catalog

import (
	"regexp"
	"slices"
	"strings"
)

// peeking are the functions by which a body reads the numbers that its session has drawn from sequences, even
// in SQL in a string.
var peeking = regexp.MustCompile(`\b(?:` + strings.Join(readers, "|") + `)\b`)

// Peeks says that code, of a DO or of a function, may read the numbers that its session
// has drawn from sequences. It does not notice SQL that is put together from pieces of
// words.
func Peeks(code string) bool { return peeking.MatchString(strings.ToLower(code)) }

// Peeks says that some function, view, default or the like of the database may read the
// numbers that its session has drawn from sequences.
func (s *Snapshot) Peeks() bool { return s.blind() || s.peeks }

// readers are the functions of pg_catalog that do.
var readers = []string{"currval", "lastval"}

// ReadsDrawn says that a function of that name in pg_catalog does.
func ReadsDrawn(name string) bool { return slices.Contains(readers, name) }
