package session

import (
	"cmp"
	"io"
	"slices"
	"testing"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
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
		"behind the clock":      {asked: "SELECT now()", asks: simple(read), hears: lost},
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

// TestBlockIsLostWithItsBegin checks that a block stays a block if its server is lost after it has
// taken the session's settings, and before it has answered the BEGIN that was held back.
func TestBlockIsLostWithItsBegin(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 0, 1, 0, 1, 0)
	w.set.FailoverWait = 30 * time.Second
	var at *side
	find := func() { at = s[slices.IndexFunc(s, func(s *side) bool { return s.server == w.session.server })] }
	restore := "Query SET \"work_mem\" TO '5';"
	w.greeted(w.sends(simple("SET work_mem TO 5")))
	w.then(find, func() { at.says(done("SET"))() })
	w.then(w.sends(simple("BEGIN"), simple(read)))
	w.then(find, func() {
		at.words(t, restore, "Query BEGIN", "Query "+read)()
		at.says(done("SET"))()
	})
	w.then(func() { at.hangs(io.EOF)() })
	w.then(find, func() {
		at.words(t, restore, "Query BEGIN", "Query "+read)()
		at.says(done("SET"), inside("BEGIN"), inside("SELECT 0"))()
		w.client.out = nil
	})
	w.then(w.hears(insideText...), w.sends(terminate))
	w.run()
}

// TestLostPortal checks that a block whose unnamed portal is bound and not executed is lost with its
// server.
func TestLostPortal(t *testing.T) {
	bound, executed := wire.AppendBind(nil, &wire.BindView{}), wire.AppendExecute(nil, "", 0)
	w, s := routedWorld(t, pool.Transaction, 1, 1)
	w.set.FailoverWait = 30 * time.Second
	w.greeted(w.sends(simple("BEGIN")))
	w.then(w.sends(parse(read), bound, syncs))
	w.then(s[0].says(inside("BEGIN"), wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), wire.AppendReadyForQuery(nil, wire.InTransaction)))
	w.then(s[0].hangs(io.EOF), func() { w.client.out = nil })
	w.then(w.hears(), w.sends(executed, syncs))
	w.then(w.hears("ErrorResponse ERROR 40001", "ReadyForQuery E"), w.sends(terminate))
	w.run()
}

// TestNextReadIsRepeated checks that a read is repeated though the read before it has lost two servers, and the client was
// told so: it is another request.
func TestNextReadIsRepeated(t *testing.T) {
	for name, begins := range map[string]bool{"outside a block": false, "in a block": true} {
		t.Run(name, func(t *testing.T) {
			w, s := routedWorld(t, pool.Transaction, 1, 0, 1, 0, 1, 0)
			w.set.FailoverWait = 30 * time.Second
			at := func() *side {
				return s[slices.IndexFunc(s, func(s *side) bool { return s.server == w.session.server })]
			}
			dies := func() { at().hangs(io.EOF)() }
			before := [][]byte{}
			if begins {
				before = append(before, simple("BEGIN"))
			}
			w.greeted(w.sends(append(before, simple(read))...))
			w.then(dies)
			w.then(dies)
			if begins {
				w.then(w.hears("CommandComplete BEGIN", "ReadyForQuery T", "ErrorResponse ERROR 40001", "ReadyForQuery E"), w.sends(simple("ROLLBACK")))
				w.then(w.hears("CommandComplete ROLLBACK", "ReadyForQuery I"), w.sends(simple(read)))
			} else {
				w.then(w.hears("ErrorResponse ERROR 40001", "ReadyForQuery I"), w.sends(simple(read)))
			}
			w.then(dies)
			w.then(func() { at().says(selected)() })
			w.then(w.hears(selectedText...), w.sends(terminate))
			w.run()
		})
	}
}
