package auth

import "testing"

// TestPrepare checks the examples of RFC 4013, section 3, and what PostgreSQL does where the RFC has an error: the
// password stays as it is.
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
		"I\u1806X":                 "IX",
		"I\uFE0FX\u180B":           "IX",
		"a\u200Bb":                 "a b",        // PostgreSQL takes it for a space, the RFC drops it
		"\u2168\x07":               "\u2168\x07", // one character of each table of prohibited ones
		"\u2168\u0085":             "\u2168\u0085",
		"\u2168\uE000":             "\u2168\uE000",
		"\u2168\uFDD0":             "\u2168\uFDD0",
		"\u2168\uFFFD":             "\u2168\uFFFD",
		"\u2168\u2FF0":             "\u2168\u2FF0",
		"\u2168\u0340":             "\u2168\u0340",
		"\u2168\U000E0001":         "\u2168\U000E0001",
		"\u2168\u05D0":             "\u2168\u05D0",
		"\u05D0\uFF11":             "\u05D0\uFF11", // it does not end in the direction in which it begins
		"\u05D0\uFF11\u05D1":       "\u05D01\u05D1",
	} {
		if got := prepare(given); got != want {
			t.Errorf("prepare(%+q) = %+q, want %+q", given, got, want)
		}
	}
}
