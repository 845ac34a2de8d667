package auth

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
	"golang.org/x/text/unicode/norm"
)

// softHyphen is Mongolian; table B.1 of the RFC has it, that of stringprep does not.
const softHyphen = '\u1806'

// prohibited are the tables of RFC 3454 that SASLprep prohibits, and what has no meaning
// in Unicode 3.2, which it stays with.
var prohibited = []stringprep.Set{
	stringprep.TableA1, stringprep.TableC1_2, stringprep.TableC2_1, stringprep.TableC2_2, stringprep.TableC3, stringprep.TableC4,
	stringprep.TableC5, stringprep.TableC6, stringprep.TableC7, stringprep.TableC8, stringprep.TableC9,
}

// prepare is SASLprep (RFC 4013) as PostgreSQL applies it to passwords: pure
// ASCII passes as it is, and what SASLprep forbids (or what is not UTF-8 at
// all) is used byte for byte instead of being an error. It is not
// OpaqueString of RFC 8265, which differs: the two ends must agree. For the same
// reason stringprep's own profile is not used but its tables only: it drops a
// zero-width space, and looks for what is prohibited after normalizing.
func prepare(password string) string {
	if isASCII(password) || !utf8.ValidString(password) {
		return password
	}
	mapped := strings.Map(mapRune, password)
	if mapped == "" || forbidden(mapped) || mixedDirections(mapped) {
		return password
	}
	return norm.NFKC.String(mapped)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// mapRune is step 1, mapping; -1 drops the character.
func mapRune(r rune) rune {
	_, dropped := stringprep.TableB1.Map(r)
	switch {
	case stringprep.TableC1_2.Contains(r): // all the spaces that are not ASCII
		return ' '
	case dropped, r == softHyphen:
		return -1
	}
	return r
}

// forbidden is step 3. PostgreSQL looks at the characters before they are
// normalized.
func forbidden(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return slices.ContainsFunc(prohibited, func(table stringprep.Set) bool { return table.Contains(r) })
	})
}

// mixedDirections is step 4: with right-to-left characters there must be no
// left-to-right ones, and it must begin and end with right-to-left ones.
func mixedDirections(s string) bool {
	rightToLeft, leftToRight := stringprep.TableD1, stringprep.TableD2
	if !strings.ContainsFunc(s, rightToLeft.Contains) {
		return false
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	return strings.ContainsFunc(s, leftToRight.Contains) || !rightToLeft.Contains(first) || !rightToLeft.Contains(last)
}
