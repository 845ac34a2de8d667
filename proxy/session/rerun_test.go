package session

import (
	"cmp"
	"io"
	"slices"
	"testing"
	"time"

	"pgherd/proxy/pool"
)

// TestBlockBeginsAnew checks what becomes of an open block whose server is lost, by what the client
// has asked for in it. A block that has only read goes on with another server.
func TestBlockBeginsAnew(t *testing.T) {
	lost := []string{"ErrorResponse ERROR 40001", "ReadyForQuery E"}
	for name, c := range map[string]struct {
		begin string // "" is BEGIN
		asked string // and answered in the block
		asks  []byte // when the server is lost; nil: nothing, and a read once it is lost
		told  []byte // what the server has answered of that
		next  []string
		hears []string
	}{
		"before a read":         {asked: read, next: []string{"Query BEGIN", "Query " + read}, hears: insideText},
		"during a read":         {asked: read, asks: simple(read), next: []string{"Query BEGIN", "Query " + read}, hears: insideText},
		"during the first read": {asks: simple(read), next: []string{"Query BEGIN", "Query " + read}, hears: insideText},
		"with words of its own": {begin: "BEGIN READ ONLY", asks: simple(read), next: []string{"Query BEGIN READ ONLY", "Query " + read}, hears: insideText},
		"half of it is told":    {asked: read, asks: simple(read), told: selected[:len(selected)-len(ready)-len(complete("SELECT 1"))], hears: append([]string{"RowDescription", "DataRow 1"}, lost...)},
		"behind a write":        {asked: write, asks: simple(read), hears: lost},
		"behind a lock":         {asked: "SELECT a FROM t FOR SHARE", asks: simple(read), hears: lost},
		"behind a setting":      {asked: "SET LOCAL work_mem TO 5", asks: simple(read), hears: lost},
		"behind a savepoint":    {asked: "SAVEPOINT a", asks: simple(read), hears: lost},
		"behind a cursor":       {asked: "DECLARE c CURSOR FOR SELECT 1", asks: simple(read), hears: lost},
		"with one snapshot":     {begin: "BEGIN ISOLATION LEVEL REPEATABLE READ", asked: read, asks: simple(read), hears: lost},
		"during a write":        {asks: simple(write), hears: lost},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := routedWorld(t, pool.Transaction, 1, 0, 1, 0)
			w.set.FailoverWait = 30 * time.Second
			var at *side
			find := func() { at = s[slices.IndexFunc(s, func(s *side) bool { return s.server == w.session.server })] }
			w.greeted(w.sends(simple(cmp.Or(c.begin, "BEGIN"))))
			if c.asked != "" {
				w.then(w.sends(simple(c.asked)))
				w.then(find, func() { at.says(inside(""), inside(""))() })
			}
			if len(c.asks) > 0 {
				w.then(w.sends(c.asks))
			}
			w.then(find, func() {
				at.says(c.told)()
				at.hangs(io.EOF)()
				w.client.out = nil
			})
			if len(c.asks) == 0 {
				w.then(w.hears(), w.sends(simple(read)))
			}
			if len(c.next) > 0 {
				w.then(find, func() {
					at.words(t, c.next...)()
					at.says(inside("BEGIN"), inside("SELECT 0"))()
				})
			}
			w.then(w.hears(c.hears...), w.sends(terminate))
			w.run()
		})
	}
}

var insideText = []string{"CommandComplete SELECT 0", "ReadyForQuery T"}
