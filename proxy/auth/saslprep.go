package auth

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// prepare is SASLprep (RFC 4013) as PostgreSQL applies it to passwords: pure
// ASCII passes as it is, and what SASLprep forbids (or what is not UTF-8 at
// all) is used byte for byte instead of being an error. It is not
// OpaqueString of RFC 8265, which differs: the two ends must agree.
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
	switch {
	case nonASCIISpaces.has(r):
		return ' '
	case nothing.has(r):
		return -1
	}
	return r
}

// forbidden is step 3. PostgreSQL looks at the characters before they are
// normalized.
func forbidden(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return prohibited.has(r) || unassigned.has(r) })
}

// mixedDirections is step 4: with right-to-left characters there must be no
// left-to-right ones, and it must begin and end with right-to-left ones.
func mixedDirections(s string) bool {
	if !strings.ContainsFunc(s, rightToLeft.has) {
		return false
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	return strings.ContainsFunc(s, leftToRight.has) || !rightToLeft.has(first) || !rightToLeft.has(last)
}

// codePoints are ranges, both ends included, in order.
type codePoints [][2]rune

func (c codePoints) has(r rune) bool {
	_, found := slices.BinarySearchFunc(c, r, func(span [2]rune, r rune) int {
		switch {
		case span[1] < r:
			return -1
		case span[0] > r:
			return 1
		}
		return 0
	})
	return found
}
