package session

import (
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// sharing are settings under which servers are shared between transactions. All that the catalog of
// the database has is harmless.
func sharing(mode pool.Mode) Settings {
	catalogs := catalog.NewShared()
	catalogs.Entry("app").Claim(time.Unix(0, 0), math.MaxInt64, false)
	catalogs.Entry("app").Store(catalogs.Entry("app").Ask(time.Unix(0, 0)), new(catalog.Snapshot))
	return Settings{QueryWait: time.Minute, ResetTimeout: 10 * time.Second, KeepServers: true, Modes: pool.Modes{Default: mode},
		MaxPrepared: 2, Statements: query.NewCache(100, 1<<20), Catalogs: catalogs}
}

func transactionWorld(t *testing.T) (*world, *side) {
	w := newWorld(t)
	*w.set = sharing(pool.Transaction)
	return w, w.server()
}

// TestPartsBetweenTransactions checks that a server is held for one transaction, and no longer.
func TestPartsBetweenTransactions(t *testing.T) {
	w, s := transactionWorld(t)
	began := append(complete("BEGIN"), wire.AppendReadyForQuery(nil, wire.InTransaction)...)
	returned := func(n int) func() { return func() { t.Helper(); same2(t, "servers returned", len(w.returned), n) } }
	w.greeted(w.client.says(simple("begin")))
	w.then(s.gets(t, "Query begin"), s.says(began))
	w.then(w.is(InTransaction), returned(0), w.client.says(simple("commit")))
	w.then(s.gets(t, "Query commit"), s.says(done("COMMIT")))
	w.then(w.is(Idle), returned(1), w.client.says(terminate))
	w.run()
	s.gets(t)() // it was clean, so there is no reset
	w.ended("returned")
}

// TestPins checks that a server stays with its session, and is reset in the end, if pgherd cannot
// tell what a statement has left.
func TestPins(t *testing.T) {
	long := simple(strings.Repeat("x", wire.WholeLimit+1))
	for name, request := range map[string][]byte{
		"a strange statement": simple("select strange()"),
		"a strange Bind":      slices.Concat(parse("select strange()"), wire.AppendBind(nil, &wire.BindView{}), syncs),
		"a long statement":    long,
	} {
		t.Run(name, func(t *testing.T) {
			w, s := transactionWorld(t)
			w.greeted(w.client.says(request[:len(request)/2]), w.client.says(request[len(request)/2:]))
			answer := done("X")
			switch request[0] {
			case 'P':
				answer = slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), ready)
			}
			w.then(s.says(answer))
			w.then(w.is(Idle), func() { same2(t, "servers returned", len(w.returned), 0) })
			w.then(w.client.says(terminate))
			w.then(s.says(done("DISCARD ALL")))
			w.run()
			w.ended("returned")
			if w.session.tracker.Pinned() != "" || s.server.Used {
				t.Error("the pin outlives the reset, or the server still counts as used")
			}
		})
	}
}

// TestUnsafeEncoding checks a client_encoding in which a byte of a longer character may look like a
// quote or a backslash. pgherd does not understand a text with such characters (I3), so its server
// is pinned.
func TestUnsafeEncoding(t *testing.T) {
	for encoding, returned := range map[string]int{"UTF8": 1, "SJIS": 0} {
		t.Run(encoding, func(t *testing.T) {
			w, s := transactionWorld(t)
			w.template = []wire.Param{{Name: "client_encoding", Value: encoding}}
			w.then(w.client.says(simple("select '\xe3\x83\x86'")))
			w.then(s.says(done("SELECT 1")))
			w.then(w.is(Idle), func() { same2(t, "servers returned", len(w.returned), returned) }, w.client.says(terminate))
			if returned == 0 {
				w.then(s.says(done("DISCARD ALL")))
			}
			w.run()
			w.ended("returned")
		})
	}
}

// TestDescribeBehindDiscardAll checks that no statement can be described after DISCARD ALL.
func TestDescribeBehindDiscardAll(t *testing.T) {
	w, s := sharingWorld(t, 2)
	w.preparesA(s[0])
	w.then(w.sends(simple("DISCARD ALL"), wire.AppendDescribe(nil, 'S', "a"), syncs))
	w.then(s[1].words(t, "Query DISCARD ALL"), s[1].says(done("DISCARD ALL")))
	w.then(s[1].words(t, "Describe", "Sync"), s[1].says(erred("26000")))
	w.then(w.told(2, "CommandComplete DISCARD ALL", "ReadyForQuery I", "ErrorResponse ERROR 26000", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// TestStatementModeRefusesTransactions checks that the error names the pooling mode that refuses.
func TestStatementModeRefusesTransactions(t *testing.T) {
	w, _ := transactionWorld(t)
	w.set.Modes.Default = pool.Statement
	w.greeted(w.client.says(simple("begin")))
	w.then(w.client.gets(t, "ErrorResponse ERROR 0A000", "ReadyForQuery I"))
	w.then(w.client.says(terminate))
	w.run()
	w.ended("")
}

// TestAskedBehindTheStatement checks that the server is asked what a function may have left in the
// same round trip. The client sees nothing of that, and the server is returned once the answer has
// come.
func TestAskedBehindTheStatement(t *testing.T) {
	w, s := sharingWorld(t, 2)
	w.greeted(w.sends(simple("SELECT asker()")))
	w.then(s[0].words(t, "Query SELECT asker()", "Query STATE"), s[0].says(selected))
	w.then(w.told(0, selectedText...), w.sends(simple("SELECT 1"))) // the session still holds its server
	w.then(s[0].words(t), s[0].says(state("s lock_timeout 5", "i role none", "i session_authorization alice")))
	w.then(s[0].words(t, "Query SELECT 1"), s[0].says(selected))
	w.then(w.told(1, selectedText...), func() { same2(t, "settings", s[0].server.Settings.String(), "lock_timeout='5'") })
	w.then(w.sends(simple("SELECT 2")))
	w.then(s[1].words(t, `Query SET "lock_timeout" TO '5';`, "Query SELECT 2"), s[1].says(complete("SET"), ready, selected))
	w.then(w.told(2, selectedText...), w.sends(terminate))
	w.run()
}

// TestAskedAtTheEnd checks that the server is not asked before the transaction has ended.
func TestAskedAtTheEnd(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.greeted(w.sends(simple("BEGIN")))
	w.then(s[0].words(t, "Query BEGIN"), s[0].says(inside("BEGIN")))
	w.then(w.sends(simple("SELECT asker()")))
	w.then(s[0].words(t, "Query SELECT asker()"), s[0].says(inside("SELECT 1")))
	w.then(w.sends(simple("COMMIT")))
	w.then(s[0].words(t, "Query COMMIT"), s[0].says(done("COMMIT")))
	w.then(s[0].words(t, "Query STATE"), s[0].says(state()))
	w.then(func() { same2(t, "servers returned", len(w.returned), 1) }, w.sends(terminate))
	w.run()
}

// TestNoAnswer checks that a question that fails is asked again, and after several failures no
// more; the server is then pinned.
func TestNoAnswer(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.greeted(w.sends(simple("SELECT asker()")))
	w.then(s[0].words(t, "Query SELECT asker()", "Query STATE"), s[0].says(selected, erred("57014")))
	w.then(s[0].words(t, "Query STATE"), s[0].says(erred("57014")))
	w.then(s[0].words(t, "Query STATE"), s[0].says(erred("57014")))
	w.then(s[0].words(t), w.told(0, selectedText...), func() {
		same2(t, "why the server is pinned", w.session.View().Pinned, "its state cannot be asked for")
		same2(t, "pins counted", w.pins, 1)
	}, w.sends(simple("SELECT 1")))
	w.then(s[0].words(t, "Query SELECT 1"), s[0].says(selected))
	w.then(w.told(0, selectedText...), w.sends(terminate))
	w.then(s[0].words(t, "Query DISCARD ALL"), s[0].says(done("DISCARD ALL")))
	w.run()
	w.ended("returned")
}

// TestPinnedWhileItIsThere checks that LISTEN pins the server until nothing is listened for.
func TestPinnedWhileItIsThere(t *testing.T) {
	w, s := sharingWorld(t, 2)
	w.greeted(w.sends(simple("LISTEN news")))
	w.then(s[0].words(t, "Query LISTEN news", "Query STATE"), s[0].says(done("LISTEN"), state("l news")))
	w.then(w.told(0, "CommandComplete LISTEN", "ReadyForQuery I"), func() {
		same2(t, "why the server is pinned", w.session.View().Pinned, "LISTEN news")
		same2(t, "pins counted", w.pins, 1)
		same2(t, "the server may have state", s[0].server.Used, true)
	}, w.sends(simple("SELECT 1")))
	w.then(s[0].words(t, "Query SELECT 1"), s[0].says(selected)) // no question is asked, because nothing can have changed
	w.then(w.told(0, selectedText...), w.sends(simple("UNLISTEN *")))
	w.then(s[0].words(t, "Query UNLISTEN *", "Query STATE"), s[0].says(done("UNLISTEN"), state()))
	w.then(w.told(1, "CommandComplete UNLISTEN", "ReadyForQuery I"), func() {
		same2(t, "why the server is pinned", w.session.View().Pinned, "")
		same2(t, "the server may have state", s[0].server.Used, false)
	}, w.sends(simple("SELECT 1")))
	w.then(s[1].words(t, "Query SELECT 1"), s[1].says(selected))
	w.then(w.told(2, selectedText...), w.sends(terminate))
	w.run()
	w.ended("returned returned")
}

// TestKeptUntilDiscarded checks that something for which the server cannot be asked pins it until
// the client's DISCARD ALL.
func TestKeptUntilDiscarded(t *testing.T) {
	w, s := sharingWorld(t, 2)
	w.greeted(w.sends(simple("SELECT keeper()")))
	w.then(s[0].words(t, "Query SELECT keeper()"), s[0].says(selected))
	w.then(w.told(0, selectedText...), func() { same2(t, "why the server is pinned", w.session.View().Pinned, "function keeper") },
		w.sends(simple("DISCARD ALL")))
	w.then(s[0].words(t, "Query DISCARD ALL"), s[0].says(done("DISCARD ALL")))
	w.then(s[0].words(t, "Query DISCARD ALL"), s[0].says(done("DISCARD ALL"))) // the client's DISCARD ALL, and the question for what it has left
	w.then(w.told(1, "CommandComplete DISCARD ALL", "ReadyForQuery I"), w.sends(simple("SELECT 1")))
	w.then(s[1].words(t, "Query SELECT 1"), s[1].says(selected))
	w.then(w.told(2, selectedText...), w.sends(terminate))
	w.run()
	w.ended("returned returned")
}

// TestUnreadableButWrong checks that a text that PostgreSQL cannot parse, either, pins nothing.
func TestUnreadableButWrong(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.greeted(w.sends(simple("SELEKT 1")))
	w.then(s[0].words(t, "Query SELEKT 1"), s[0].says(erred("42601")))
	w.then(w.client.words(t, "ErrorResponse ERROR 42601", "ReadyForQuery I"), s[0].words(t, "Query STATE"), s[0].says(state()))
	w.then(w.told(1), w.sends(terminate))
	w.run()
}

// denied checks, as an event, that the client has got a refusal with a hint.
func (w *world) denied(what string, rest ...string) func() {
	return func() {
		w.t.Helper()
		cut := wire.CutReplies()
		m, _, err := cut.Next(w.client.out)
		if err != nil || m.Kind != wire.ErrorResponse {
			w.t.Fatalf("got %v, %v", m.Kind, err)
		}
		f := wire.ViewFault(m.Body())
		if f.Code != "0A000" || !strings.HasPrefix(f.Message, what) || f.Hint == "" {
			w.t.Errorf("got error %+v, want one that says %s", f, what)
		}
		w.client.words(w.t, append([]string{"ErrorResponse ERROR 0A000"}, rest...)...)()
	}
}

// TestCannotBeHad checks that a refused request gets an error with a hint, and is not sent. Inside a transaction the server is
// sent a request that fails, instead.
func TestCannotBeHad(t *testing.T) {
	for sql, what := range map[string]string{
		"SELECT currval('s')":         "currval of what another transaction has drawn from a sequence",
		"SELECT lastval()":            "lastval of what another transaction has drawn from a sequence",
		"LISTEN news":                 "LISTEN news is not possible where servers are shared",
		"CREATE TEMP TABLE x (a int)": "a temporary object is not",
		"SELECT pg_advisory_lock(1)":  "a session's advisory lock is not",
		"SELECT keeper()":             "function keeper is not",
		"LOAD 'x'":                    "LOAD x is not",
	} {
		t.Run(sql, func(t *testing.T) {
			w, s := sharingWorld(t, 1)
			w.set.RefusePins = true
			w.greeted(w.sends(simple(sql)))
			w.then(w.denied(what, "ReadyForQuery I"), s[0].words(t), w.sends(terminate))
			w.run()
			w.ended("")
		})
	}
}

// TestCannotBeHadInside checks that for a request refused in a transaction, or after a Parse, the server is sent one that fails,
// so that it rolls back and skips as the client expects.
func TestCannotBeHadInside(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.set.RefusePins = true
	w.greeted(w.sends(parse("LISTEN news"), execute, syncs))
	w.then(s[0].words(t, "Parse LISTEN news", "Parse pgherd_set refused by pgherd", "Execute", "Sync"),
		s[0].says(wire.AppendParseComplete(nil), erred("42601")))
	w.then(func() { w.client.out = w.client.out[len(wire.AppendParseComplete(nil)):] }, w.denied("LISTEN news", "ReadyForQuery I"),
		func() { w.free = append(w.free, s[0].server) }, w.sends(simple("BEGIN")))
	w.then(s[0].words(t, "Query BEGIN"), s[0].says(inside("BEGIN")))
	w.then(w.told(1, "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(simple("LISTEN news")))
	w.then(s[0].words(t, "Query refused by pgherd"), s[0].says(failed("42601")))
	w.then(w.denied("LISTEN news", "ReadyForQuery E"), w.sends(simple("ROLLBACK")))
	w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
	w.then(w.told(2, "CommandComplete ROLLBACK", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.ended("returned returned")
}

// TestDrawnAndAsked checks that currval is possible in the transaction of the nextval, which has
// one server.
func TestDrawnAndAsked(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.greeted(w.sends(simple("BEGIN")))
	w.then(s[0].words(t, "Query BEGIN"), s[0].says(inside("BEGIN")))
	w.then(w.sends(simple("INSERT INTO plain VALUES (1)")))
	w.then(s[0].words(t, "Query INSERT INTO plain VALUES (1)"), s[0].says(inside("INSERT 0 1")))
	w.then(w.sends(simple("SELECT lastval()")))
	w.then(s[0].words(t, "Query SELECT lastval()"), s[0].says(inside("SELECT 1")))
	w.then(w.sends(terminate))
	w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
	w.run()
}

// TestSQLNamesAStatementOfTheProtocol checks that SQL which names a statement of the extended
// protocol gets a server that has the client's statements by the client's own names, and no others,
// and is pinned.
func TestSQLNamesAStatementOfTheProtocol(t *testing.T) {
	w, s := sharingWorld(t, 2)
	s[1].server.Prepared.Add("another's", 2)
	w.greeted(w.sends(wire.AppendParse(nil, "a", "SELECT 1", nil), syncs))
	w.then(s[0].words(t, "Parse pgherd_1 SELECT 1", "Sync"), s[0].says(wire.AppendParseComplete(nil), ready))
	w.then(w.told(1, "ParseComplete", "ReadyForQuery I"), w.sends(simple("EXECUTE a")))
	w.then(s[1].words(t, "Close pgherd_1", "Parse a SELECT 1", "Sync", "Query EXECUTE a"),
		s[1].says(wire.AppendCloseComplete(nil), wire.AppendParseComplete(nil), ready, selected))
	w.then(w.told(1, selectedText...), w.sends(bindOf("a"), syncs))
	w.then(s[1].words(t, "Bind a", "Execute", "Sync"), s[1].says(wire.AppendBindComplete(nil), complete("SELECT 1"), ready))
	w.then(w.told(1, "BindComplete", "CommandComplete SELECT 1", "ReadyForQuery I"), w.sends(terminate))
	w.then(s[1].words(t, "Query DISCARD ALL"), s[1].says(done("DISCARD ALL")))
	w.run()
}

// TestDeallocate checks that SQL can deallocate a statement of the extended protocol, and that the
// server keeps it for other clients.
func TestDeallocate(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.greeted(w.sends(wire.AppendParse(nil, "a", "SELECT 1", nil), syncs))
	w.then(s[0].words(t, "Parse pgherd_1 SELECT 1", "Sync"), s[0].says(wire.AppendParseComplete(nil), ready))
	w.then(w.told(1, "ParseComplete", "ReadyForQuery I"), w.sends(simple("DEALLOCATE a")))
	w.then(w.told(1, "CommandComplete DEALLOCATE", "ReadyForQuery I"), func() { same2(t, "statements", len(w.session.statements.All()), 0) },
		w.sends(terminate))
	w.run()
	same2(t, "statements of the server", s[0].server.Prepared.Len(), 1)
}

// TestParsesAhead checks that a Parse needs no server if a server of the pool has prepared the same
// statement before. The Bind then prepares it.
func TestParsesAhead(t *testing.T) {
	w, s := sharingWorld(t, 2)
	const sql = "SELECT 1"
	w.greeted(w.sends(wire.AppendParse(nil, "a", sql, nil), syncs))
	w.then(s[0].words(t, "Parse pgherd_1 SELECT 1", "Sync"), s[0].says(wire.AppendParseComplete(nil), ready))
	w.then(w.told(1, "ParseComplete", "ReadyForQuery I"), w.sends(wire.AppendParse(nil, "b", sql, nil), syncs))
	w.then(w.told(1, "ParseComplete", "ReadyForQuery I"), func() { same2(t, "servers asked for", len(w.asked), 1) },
		w.sends(wire.AppendBind(nil, &wire.BindView{Statement: []byte("b")}), wire.AppendExecute(nil, "", 0), syncs))
	w.then(s[1].words(t, "Parse pgherd_1 SELECT 1", "Bind pgherd_1", "Execute", "Sync"),
		s[1].says(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("SELECT 1"), ready))
	w.then(w.told(2, "BindComplete", "CommandComplete SELECT 1", "ReadyForQuery I"), w.sends(wire.AppendParse(nil, "c", "SELECT 2", nil), syncs))
	w.moments = w.moments[:len(w.moments)-1]
	w.then(w.sends(terminate))
	w.run()
}

// TestNotParsedAhead checks that a Parse needs a server under other settings, under which the
// statement may mean something else.
func TestNotParsedAhead(t *testing.T) {
	w, s := sharingWorld(t, 2)
	const sql = "SELECT '01/02/03'::date"
	w.proven = []string{sql + "\x00\x00\x00"}
	w.greeted()
	w.setOn(s[0], "SET DateStyle = German")
	w.then(w.told(1, setText...), w.sends(wire.AppendParse(nil, "a", sql, nil), syncs))
	w.then(s[1].words(t, `Query SET "datestyle" TO 'german';`, "Parse pgherd_1 "+sql, "Sync"),
		s[1].says(complete("SET"), ready, wire.AppendParseComplete(nil), ready))
	w.then(w.told(2, "ParseComplete", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	if s[1].server.Prepared.Find(w.proven[0]) != nil {
		t.Error("a statement prepared under other settings has the key of the shared one")
	}
}

func bindOf(name string) []byte {
	return wire.AppendExecute(wire.AppendBind(nil, &wire.BindView{Statement: []byte(name)}), "", 0)
}

// TestNotifiedInBetween checks that the client gets a notification that comes in the middle of any reply. Other messages in the
// middle of a reply to pgherd are pgherd's own.
func TestNotifiedInBetween(t *testing.T) {
	w, s := sharingWorld(t, 1)
	notification := wire.AppendNotificationResponse(nil, 7, "news", "x")
	warning := wire.AppendNotice(nil, &wire.Fault{Severity: "WARNING", Code: "01000", Message: "of the question"})
	answer := state("l news")
	w.greeted(w.sends(simple("LISTEN news")))
	w.then(s[0].words(t, "Query LISTEN news", "Query STATE"), s[0].says(done("LISTEN"), answer[:40]))
	w.then(w.client.words(t, "CommandComplete LISTEN", "ReadyForQuery I"))
	end := len(answer) - len(ready)
	w.then(s[0].says(answer[40:end], notification, warning), s[0].says(answer[end:]))
	w.then(w.told(0, "NotificationResponse"), w.sends(terminate))
	w.then(s[0].words(t, "Query DISCARD ALL"), s[0].says(done("DISCARD ALL")))
	w.run()
}

// TestCatalogComesFirst checks that no statement is analyzed before the catalog is known, and that the
// catalog is asked for again when that is due.
func TestCatalogComesFirst(t *testing.T) {
	w, s := sharingWorld(t, 3)
	w.set.Catalogs, w.set.CatalogCheck = catalog.NewShared(), time.Minute
	answer := catalogAnswer([]string{"version", "1:1", "", "", ""}, []string{"function", "f", "sql", "vf", "SELECT 1"})
	w.greeted(w.sends(simple("SELECT f()")))
	w.then(s[0].words(t, "Query CATALOG"), s[0].says(answer))
	w.then(s[0].words(t, "Query SELECT f()"), s[0].says(selected))
	w.then(s[0].words(t, "Query CATALOG"), w.client.words(t, selectedText...), s[0].says(answer)) // the entry does not know when the first question was sent
	w.then(w.told(1), w.sends(simple("SELECT f()")))
	w.then(s[1].words(t, "Query SELECT f()"), s[1].says(selected))
	w.then(w.told(2, selectedText...), w.passes(time.Minute), w.sends(simple("SELECT f()")))
	w.then(s[2].words(t, "Query SELECT f()"), s[2].says(selected))
	w.then(s[2].words(t, "Query CATALOG"), w.told(2, selectedText...), s[2].says(answer))
	w.then(w.told(3), w.sends(terminate))
	w.run()
}

// TestCatalogOfShortSessions checks that the answer about the catalog is kept even if its client leaves before it comes.
// Otherwise a database whose clients all leave that soon would never be known.
func TestCatalogOfShortSessions(t *testing.T) {
	answer := catalogAnswer([]string{"version", "2:2", "", "", ""})
	for name, c := range map[string]struct {
		after func(s *side) func()
		known string
	}{
		"answered": {func(s *side) func() { return s.says(answer) }, "returned"},
		"broken":   {func(s *side) func() { return s.hangs(io.ErrUnexpectedEOF) }, "discarded"},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := transactionWorld(t)
			w.set.CatalogCheck = time.Minute
			w.set.Catalogs = catalog.NewShared()
			entry := w.set.Catalogs.Entry("app")
			entry.Store(entry.Ask(time.Unix(0, 0)), new(catalog.Snapshot)) // the next question is due
			before := entry.Snapshot()
			w.greeted(w.client.says(simple("SELECT 1")))
			w.then(s.gets(t, "Query SELECT 1"), s.says(selected))
			w.then(s.words(t, "Query CATALOG"), w.client.hangs(io.EOF))
			w.then(c.after(s))
			w.run()
			w.ended(c.known)
			if known := entry.Snapshot() != before; known != (name == "answered") || entry.Due(w.now) == known {
				t.Errorf("the catalog was read again: %v; it is due: %v", known, entry.Due(w.now))
			}
		})
	}
}

// TestKilledWhileTheyAsk checks that servers that end one after another, each while it is asked, do
// not make pgherd forget the catalog. It would then send every statement to the primary, and no
// signal to a client.
func TestKilledWhileTheyAsk(t *testing.T) {
	catalogs := catalog.NewShared()
	entry := catalogs.Entry("app")
	entry.Store(entry.Ask(time.Unix(0, 0)), new(catalog.Snapshot))
	before := entry.Snapshot()
	for range 5 {
		w, s := transactionWorld(t)
		w.set.CatalogCheck, w.set.Catalogs = time.Minute, catalogs
		w.greeted(w.client.says(simple("SELECT 1")))
		w.then(s.gets(t, "Query SELECT 1"), s.says(selected))
		w.then(s.words(t, "Query CATALOG"), s.says(fault("FATAL", "57P01")), s.hangs(io.EOF))
		w.run()
		w.ended("discarded")
	}
	if entry.Snapshot() != before {
		t.Error("the catalog's snapshot was replaced, want it kept")
	}
}

// TestCatalogIsAskedBehindADefinition checks that the catalog is asked for before another session
// gets the server.
func TestCatalogIsAskedBehindADefinition(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.set.CatalogCheck = time.Minute
	w.greeted(w.sends(simple("CREATE VIEW x AS SELECT 1")))
	w.then(s[0].words(t, "Query CREATE VIEW x AS SELECT 1", "Query STATE"), s[0].says(done("CREATE VIEW"), state()))
	w.then(s[0].words(t, "Query CATALOG"), s[0].says(catalogAnswer([]string{"version", "2:2", "", "", ""})))
	w.then(s[0].words(t, "Query STATE"), s[0].says(state()))
	w.then(s[0].words(t))
	w.then(w.told(1, "CommandComplete CREATE VIEW", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// catalogAnswer is an answer to the question for the catalog, which has several statements.
func catalogAnswer(rows ...[]string) []byte {
	b := append(complete("SET"), wire.AppendTextColumns(nil, "kind", "a", "b", "c", "d")...)
	for _, row := range rows {
		b = wire.AppendTextRow(b, row...)
	}
	return append(b, done("SELECT")...)
}

// TestNamesOfPgherds checks that a client that uses pgherd's names of statements finds none and closes none, even if another
// client's statement has the name.
func TestNamesOfPgherds(t *testing.T) {
	w, s := sharingWorld(t, 1)
	s[0].server.Prepared.Add("SELECT 'of another'", 10)
	bind := wire.AppendBind(nil, &wire.BindView{Statement: []byte("pgherd_1")})
	w.greeted(w.sends(wire.AppendClose(nil, 'S', "pgherd_1"), bind, wire.AppendExecute(nil, "", 0), syncs))
	w.then(w.told(0, "CloseComplete", "ErrorResponse ERROR 26000", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	s[0].words(t)()
}
