package session

import (
	"slices"
	"testing"
)

func TestOnlyEnds(t *testing.T) {
	for sql, want := range map[string]bool{
		"ABORT": true, "abort": true, " Rollback ; ": true, "ABORT WORK": true, "rollback\ntransaction": true,
		"": false, "DISCARD ALL": false, "ROLLBACK TO a": false, "ABORT AND CHAIN": false, "ROLLBACK PREPARED 'x'": false,
		"ABORTWORK": false, "ABOR": false, "RESET ALL": false, "ABORT; DISCARD ALL": false,
	} {
		if got := onlyEnds(sql); got != want {
			t.Errorf("%q became %v", sql, got)
		}
	}
}

// TestResetEndsNoTransaction checks that a statement that only ends a transaction is sent only if one may be open, and that the
// rest of the list is sent unchanged.
func TestResetEndsNoTransaction(t *testing.T) {
	for name, c := range map[string]struct {
		answer []byte
		want   []string
	}{
		"idle":                    {done("BEGIN"), []string{"Query SELECT 1", "Query DISCARD ALL"}},
		"in one":                  {inside("BEGIN"), []string{"Query abort", "Query SELECT 1", "Query DISCARD ALL"}},
		"in a failed transaction": {failed("22012"), []string{"Query abort", "Query SELECT 1", "Query DISCARD ALL"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.set.ResetQueries = []string{"abort", "SELECT 1", "DISCARD ALL"}
			s := w.server()
			w.greeted(w.client.says(simple("BEGIN")))
			w.then(s.words(t, "Query BEGIN"), s.says(c.answer))
			w.then(w.client.leaves())
			w.then(s.words(t, c.want...), s.says(slices.Concat(slices.Repeat([][]byte{done("X")}, len(c.want))...)))
			w.run()
			w.ended("returned")
		})
	}
}
