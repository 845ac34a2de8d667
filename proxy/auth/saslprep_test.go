package auth

import "testing"

// TestPrepare: the examples of RFC 4013, section 3, and what PostgreSQL does
// where the RFC says error: the password stays as it is.
func TestPrepare(t *testing.T) {
	for given, want := range map[string]string{
		"I\u00ADX":                 "IX", // soft hyphen
		"user":                     "user",
		"USER":                     "USER",
		"\u00AA":                   "a",
		"\u2168":                   "IX",
		"\x07":                     "\x07", // prohibited, but ASCII
		"\u0627\u0031":             "\u0627\u0031",
		"a\u00A0b":                 "a b",
		"e\u0301":                  "\u00e9",
		"\uFF21":                   "A", // full width; OpaqueString would keep it
		"\u00AD":                   "\u00AD",
		"\xff\xfe":                 "\xff\xfe", // not UTF-8
		"\u2168\u0221":             "\u2168\u0221",
		"\U0001F600\u2168":         "\U0001F600\u2168", // unassigned in Unicode 3.2
		"\u2168\u200E":             "\u2168\u200E",     // prohibited: change of direction
		"":                         "",
		"\u0627a\u0628":            "\u0627a\u0628",
		"\u0627\u0031\u0628\u00AD": "\u0627\u0031\u0628",
	} {
		if got := prepare(given); got != want {
			t.Errorf("prepare(%+q) = %+q, want %+q", given, got, want)
		}
	}
}

func TestCodePointsAreInOrder(t *testing.T) {
	for _, table := range []codePoints{nonASCIISpaces, nothing, prohibited, unassigned, rightToLeft, leftToRight} {
		last := rune(-1)
		for _, span := range table {
			if span[0] <= last || span[1] < span[0] {
				t.Fatalf("range %#x out of order", span)
			}
			last = span[1]
		}
	}
}
