package query

import (
	"slices"
	"strings"
	"testing"
)

// TestBlock checks what the parser finds out of each text about its transaction block.
func TestBlock(t *testing.T) {
	for sql, want := range map[string]string{
		"BEGIN":                     "begins BEGIN",
		"/* a */ start transaction": "begins START TRANSACTION",
		"-- a\nBEGIN ISOLATION LEVEL SERIALIZABLE;": "begins BEGIN",
		"BEGIN; SELECT 1":         "",
		"COMMIT":                  "ends recovers",
		"END;":                    "ends recovers",
		"ABORT":                   "ends recovers",
		"COMMIT AND CHAIN":        "chains recovers",
		"ROLLBACK TO a":           "recovers",
		"PREPARE TRANSACTION 'a'": "recovers",
		"COMMIT; SELECT 1":        "ends first",
		"ROLLBACK AND CHAIN; INSERT INTO t VALUES (1)": "ends first",
		"SELECT 1; COMMIT": "",
		"SAVEPOINT a":      "",
		"SELEKT":           "",
		"":                 "empty",
		" ; -- nothing":    "empty",
	} {
		s := Parse([]byte(sql), Syntax{})
		var got []string
		for word, is := range map[string]bool{"ends": s.Ends(), "chains": s.Chains(), "recovers": s.Recovers(), "ends first": s.EndsFirst(), "empty": s.Empty()} {
			if is {
				got = append(got, word)
			}
		}
		if s.Begins() {
			got = append(got, "begins "+s.BeginTag())
		}
		if slices.Sort(got); strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", sql, got, want)
		}
	}
	var none *Script
	if none.Begins() || none.Ends() || none.Chains() || none.Recovers() || none.EndsFirst() || none.Empty() {
		t.Error("a text that was not parsed has an effect")
	}
}
