package session

import (
	"strings"
	"testing"

	"pgherd/proxy/effect/effecttest"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// sharingWorld has servers that are shared between transactions, in the database that
// effecttest.Known describes. A server that is returned is not given out again.
func sharingWorld(t *testing.T, servers int) (*world, []*side) {
	w, _ := transactionWorld(t)
	w.free, w.servers = nil, nil
	w.set.Catalogs.Entry("app").Store(w.set.Catalogs.Entry("app").Ask(w.now), effecttest.Known(t))
	var list []*side
	for range servers {
		list = append(list, w.server())
	}
	return w, list
}

// sends is the event that the client sends these messages.
func (w *world) sends(messages ...[]byte) func() { return w.client.says(messages...) }

// told checks, as an event, that so many servers were returned, and that the client has got exactly
// this.
func (w *world) told(returned int, want ...string) func() {
	return func() {
		w.t.Helper()
		w.client.words(w.t, want...)()
		same2(w.t, "servers returned", len(w.returned), returned)
	}
}

// words is gets with the names of prepared statements, and with a name for each of pgherd's own
// questions.
func (s *side) words(t *testing.T, want ...string) func() {
	return func() {
		t.Helper()
		var got []string
		for p := s.out; len(p) > 0; {
			m, rest, err := s.cut.Next(p)
			if err != nil {
				t.Fatal(err)
			}
			if p = rest; m.First {
				got = append(got, naming(m))
			}
		}
		s.out = nil
		if text := strings.Join(got, "\n  "); text != strings.Join(want, "\n  ") {
			t.Errorf("%s received:\n  %s\nwant:\n  %s", s.name, text, strings.Join(want, "\n  "))
		}
	}
}

func naming(m wire.Message) string {
	text := strings.TrimSpace(m.Kind.String() + " " + detail(m))
	switch {
	case !m.Last:
		return m.Kind.String() + " in pieces"
	case m.Kind == wire.Parse:
		v, _ := wire.ViewParse(m.Body())
		return "Parse " + strings.TrimSpace(string(v.Name)+" "+string(v.SQL))
	case m.Kind == wire.Bind:
		v, _ := wire.ViewBind(m.Body())
		return strings.TrimSpace("Bind " + string(v.Statement))
	case m.Kind == wire.Close:
		v, _ := wire.ViewClose(m.Body())
		return strings.TrimSpace("Close " + string(v.Name))
	case strings.Contains(text, "pg_amproc"):
		return "Query CATALOG"
	case strings.Contains(text, "pg_show_all_settings"):
		return "Query STATE"
	}
	return text
}

// state is an answer to the state question, with rows of "what name value". The server has no
// statement prepared.
func state(rows ...string) []byte {
	b := append(complete("SET"), wire.AppendTextColumns(nil, "what", "name", "value")...)
	for _, row := range append(rows, "n  0") {
		fields := append(strings.SplitN(row, " ", 3), "", "")
		b = wire.AppendTextRow(b, fields[0], fields[1], fields[2])
	}
	return append(b, done("SELECT")...)
}

// inside and failed are answers in a transaction.
func inside(tag string) []byte {
	return append(complete(tag), wire.AppendReadyForQuery(nil, wire.InTransaction)...)
}

func failed(code string) []byte {
	return append(fault("ERROR", code), wire.AppendReadyForQuery(nil, wire.Failed)...)
}

// erred is an error outside of a transaction.
func erred(code string) []byte { return append(fault("ERROR", code), ready...) }

// setOn lets the client set something on a server, in a transaction of its own.
func (w *world) setOn(s *side, sql string, reports ...[]byte) {
	w.then(w.sends(simple(sql)))
	w.then(s.words(w.t, "Query "+sql), s.says(complete("SET"), join(reports...), ready))
}

func join(list ...[]byte) (all []byte) {
	for _, b := range list {
		all = append(all, b...)
	}
	return all
}

var setText = []string{"CommandComplete SET", "ReadyForQuery I"}

// TestSettingsFollow checks that the next server gets what was set on the last one, and that what
// another session has set there is taken back, in the same round trip as the statement.
func TestSettingsFollow(t *testing.T) {
	w, s := sharingWorld(t, 2)
	s[1].server.Settings = pool.Settings{"lock_timeout": "'7'", "work_mem": "'9'"}
	w.greeted()
	w.setOn(s[0], "SET work_mem='1MB'")
	w.then(w.told(1, setText...), w.sends(simple("SELECT 1")))
	w.then(s[1].words(t, `Query RESET "lock_timeout";SET "work_mem" TO '1MB';`, "Query SELECT 1"),
		s[1].says(complete("RESET"), complete("SET"), ready, selected))
	w.then(w.told(2, selectedText...), w.sends(terminate))
	w.run()
	for _, one := range w.returned {
		same2(t, "settings of the server", one.Settings.String(), "work_mem='1MB'")
	}
	w.ended("returned returned")
}

// TestRollbackTakesBackItsOwnTransactionOnly checks that a SET outside of a transaction block is
// final, even if the outcome of what came before it is not certain.
func TestRollbackTakesBackItsOwnTransactionOnly(t *testing.T) {
	w, s := sharingWorld(t, 1)
	bound := join(parse("SET work_mem='1MB'"), wire.AppendBind(nil, &wire.BindView{}), syncs) // without an Execute
	w.greeted(w.sends(bound, simple("SET work_mem='2MB'"), wire.AppendParse(nil, "p", "SELECT 1", nil), syncs, simple("ROLLBACK")))
	w.then(s[0].words(t, "Parse SET work_mem='1MB'", "Bind", "Sync"),
		s[0].says(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), ready))
	w.then(s[0].words(t, "Query SET work_mem='2MB'", "Query STATE"), s[0].says(done("SET"), state("s work_mem 2048")))
	w.then(s[0].words(t, "Parse pgherd_1 SELECT 1", "Sync"), s[0].says(wire.AppendParseComplete(nil), ready))
	w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
	w.then(w.sends(terminate))
	w.run()
	for _, one := range w.returned {
		same2(t, "settings of the server", one.Settings.String(), "work_mem='2048'")
	}
	w.ended("returned")
}

// TestSetIsFinalBeforeHalfOfANotice checks that other messages from the server do not join two transactions into one.
func TestSetIsFinalBeforeHalfOfANotice(t *testing.T) {
	w, s := sharingWorld(t, 1)
	notice := wire.AppendNotice(nil, &wire.Fault{Severity: "NOTICE", Code: "00000", Message: strings.Repeat("by the way ", wire.WholeLimit/5)})
	begun := wire.WholeLimit + 100 // a message of this size is forwarded before all of it has arrived
	w.greeted(w.sends(simple("SET work_mem='1MB'")))
	w.then(s[0].words(t, "Query SET work_mem='1MB'"), s[0].says(done("SET"), notice[:begun]))
	w.then(w.told(0, append(setText, "NoticeResponse in pieces")...), w.sends(simple("ROLLBACK")))
	w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(notice[begun:], done("ROLLBACK")))
	w.then(w.sends(terminate))
	w.run()
	for _, one := range w.returned {
		same2(t, "settings of the server", one.Settings.String(), "work_mem='1MB'")
	}
	w.ended("returned")
}

// TestNothingToRestore checks that no statement is sent to a server that has the session's
// settings.
func TestNothingToRestore(t *testing.T) {
	w, s := sharingWorld(t, 2)
	s[1].server.Settings = pool.Settings{"work_mem": "'1MB'"}
	w.greeted()
	w.setOn(s[0], "SET work_mem='1MB'")
	w.then(w.told(1, setText...), w.sends(simple("SELECT 1")))
	w.then(s[1].words(t, "Query SELECT 1"), s[1].says(selected))
	w.then(w.sends(terminate))
	w.run()
}

// TestUnsureRestoreComesFirst checks that the session waits for statements that may fail.
func TestUnsureRestoreComesFirst(t *testing.T) {
	w, s := sharingWorld(t, 2)
	w.greeted()
	w.setOn(s[0], "SET geqo=off")
	w.then(w.told(1, setText...), w.sends(simple("SELECT 1")))
	w.then(s[1].words(t, `Query SET "geqo" TO 'off';`), s[1].says(complete("SET")))
	w.then(s[1].words(t), s[1].says(ready))
	w.then(s[1].words(t, "Query SELECT 1"), s[1].says(selected))
	w.then(w.told(2, selectedText...), w.sends(terminate))
	w.run()
}

// TestRestoreFails checks that the session ends if its settings cannot be restored, because nothing may run with other ones. If
// the restore was not certain to succeed, nothing was sent after it.
func TestRestoreFails(t *testing.T) {
	for setting, got := range map[string][]string{
		"geqo='off'":     {`Query SET "geqo" TO 'off';`},
		"work_mem='1MB'": {`Query SET "work_mem" TO '1MB';`, "Query SELECT 1"},
		"role='r'":       {"Query SET role TO 'r';"},
	} {
		w, s := sharingWorld(t, 2)
		w.greeted()
		w.setOn(s[0], "SET "+setting)
		w.then(w.told(1, setText...), w.sends(simple("SELECT 1")))
		w.then(s[1].words(t, got...), s[1].says(erred("22023")))
		w.run()
		w.client.words(t, "ErrorResponse FATAL 22023")()
		s[1].words(t)()
		if w.err == nil || len(w.returned) != 1 || len(w.discarded)+len(w.aborted) != 1 {
			t.Errorf("%s: the session ended by %v; %d servers were returned, %d discarded", setting, w.err, len(w.returned), len(w.discarded))
		}
	}
}

// TestPreparedInSQLFollows checks that statements of SQL PREPARE follow the client. Where one
// cannot be prepared, only its EXECUTE fails.
func TestPreparedInSQLFollows(t *testing.T) {
	w, s := sharingWorld(t, 3)
	s[2].server.Settings = pool.Settings{pool.PreparedName("q"): "PREPARE q AS SELECT 2"}
	w.greeted(w.sends(simple("PREPARE p AS SELECT 1")))
	w.then(s[0].words(t, "Query PREPARE p AS SELECT 1", "Query STATE"),
		s[0].says(done("PREPARE"), state("p p PREPARE p AS SELECT 1")))
	w.then(w.told(1, "CommandComplete PREPARE", "ReadyForQuery I"), w.sends(simple("EXECUTE p")))
	w.then(s[1].words(t, "Query PREPARE p AS SELECT 1", "Query EXECUTE p"), s[1].says(done("PREPARE"), selected))
	w.then(w.told(2, selectedText...), w.sends(simple("EXECUTE p")))
	w.then(s[2].words(t, `Query DEALLOCATE "q"`, "Query PREPARE p AS SELECT 1", "Query EXECUTE p"),
		s[2].says(done("DEALLOCATE"), erred("42P01"), erred("26000")))
	w.then(s[2].words(t, "Query STATE"), s[2].says(state())) // the statement of SQL PREPARE is missing there
	w.then(w.told(3, "ErrorResponse ERROR 26000", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.ended("returned returned returned")
}

// TestToldWhatServersReport checks that a client knows the parameters of the server that it has,
// and is told only what differs.
func TestToldWhatServersReport(t *testing.T) {
	w, s := sharingWorld(t, 3)
	s[1].server.Params = []wire.Param{{Name: "TimeZone", Value: "UTC"}, {Name: "is_superuser", Value: "off"}}
	w.greeted()
	w.setOn(s[0], "SET TIME ZONE 'cet'", wire.AppendParameterStatus(nil, "TimeZone", "CET"))
	w.then(w.told(1, "CommandComplete SET", "ParameterStatus TimeZone=CET", "ReadyForQuery I"), w.sends(simple("SELECT 1")))
	w.then(s[1].words(t, `Query SET "timezone" TO 'CET';`, "Query SELECT 1"),
		s[1].says(complete("SET"), wire.AppendParameterStatus(nil, "TimeZone", "CET"), ready, selected))
	w.then(w.told(2, append([]string{"ParameterStatus is_superuser=off"}, selectedText...)...), w.sends(simple("RESET TIME ZONE")))
	w.then(s[2].words(t, `Query SET "timezone" TO 'CET';`, "Query RESET TIME ZONE"),
		s[2].says(complete("SET"), wire.AppendParameterStatus(nil, "TimeZone", "CET"), ready,
			complete("RESET"), wire.AppendParameterStatus(nil, "TimeZone", "UTC"), ready))
	w.then(w.told(3, "CommandComplete RESET", "ParameterStatus TimeZone=UTC", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	same2(t, "settings that follow the session", w.session.tracker.Settings.String(), "")
}

// TestToldWithoutSettings checks that the client is told if another server reports other values, though nothing was set.
func TestToldWithoutSettings(t *testing.T) {
	w, s := sharingWorld(t, 1)
	s[0].server.Params = []wire.Param{{Name: "TimeZone", Value: "GMT"}}
	w.greeted(w.sends(simple("SELECT 1")))
	w.then(w.client.gets(t, "ParameterStatus TimeZone=GMT"), s[0].words(t, "Query SELECT 1"), s[0].says(selected))
	w.then(w.told(1, selectedText...), w.sends(terminate))
	w.run()
}

// TestLeavesInATransaction checks that a transaction that has left nothing else is only rolled back, and that otherwise the server
// is sent DISCARD ALL.
func TestLeavesInATransaction(t *testing.T) {
	for _, row := range []struct {
		what, sql string
		answer    []byte
		reset     []string
		end       string
	}{
		{"nothing else", "SELECT 1", inside("SELECT 1"), []string{"Query ROLLBACK"}, "returned"},
		{"a setting", "SET work_mem='1MB'", inside("SET"), []string{"Query ROLLBACK"}, "returned"},
		{"an error", "SELECT 1/0", failed("22012"), []string{"Query ROLLBACK"}, "returned"},
		{"a setting that failed", "SET work_mem='x'", failed("22023"), []string{"Query ABORT", "Query DISCARD ALL"}, "returned"},
		{"a function that may set something", "SELECT asker()", inside("SELECT 1"), []string{"Query ABORT", "Query DISCARD ALL"}, "returned"},
		{"a function that pins", "SELECT keeper()", inside("SELECT 1"), []string{"Query ABORT", "Query DISCARD ALL"}, "returned"},
		{"what outlasts DISCARD ALL", "LOAD 'x'", inside("LOAD"), nil, "discarded"},
	} {
		t.Run(row.what, func(t *testing.T) {
			w, s := sharingWorld(t, 1)
			w.greeted(w.sends(simple("BEGIN")))
			w.then(s[0].words(t, "Query BEGIN"), s[0].says(inside("BEGIN")))
			w.then(w.sends(simple(row.sql)))
			w.then(s[0].words(t, "Query "+row.sql), s[0].says(row.answer))
			w.then(w.sends(terminate))
			if row.reset != nil {
				var answers [][]byte
				for _, query := range row.reset {
					answers = append(answers, done(strings.TrimPrefix(query, "Query ")))
				}
				w.then(s[0].words(t, row.reset...), s[0].says(answers...))
			}
			w.run()
			if s[0].words(t)(); len(s[0].server.Settings) > 0 {
				t.Errorf("the server has the settings %v", s[0].server.Settings)
			}
			w.ended(row.end)
		})
	}
}

// TestCopyWithoutTheLastSync checks that a Sync sent ahead of copy data is ignored, so that the
// copy is in a transaction that is open until the next Sync (I2).
func TestCopyWithoutTheLastSync(t *testing.T) {
	begun := join(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), wire.AppendCopyInResponse(nil, 0, nil))
	copied := join(wire.AppendCopyData(nil, "1"), wire.AppendCopyDone(nil))
	copies := func(end []byte) (*world, *side) {
		w, s := sharingWorld(t, 1)
		w.greeted(w.sends(parse("COPY plain FROM STDIN"), execute, syncs))
		w.then(s[0].words(t, "Parse COPY plain FROM STDIN", "Bind", "Execute", "Sync"), s[0].says(begun))
		w.then(w.told(0, "ParseComplete", "BindComplete", "CopyInResponse"), w.sends(copied, end))
		w.then(s[0].words(t, "CopyData 1", "CopyDone", "Flush"), s[0].says(complete("COPY 1")))
		return w, s[0]
	}
	t.Run("the client leaves", func(t *testing.T) {
		w, s := copies(terminate)
		w.then(s.words(t, "Query ABORT", "Query DISCARD ALL"), s.says(done("ROLLBACK"), done("DISCARD ALL")))
		w.run()
		w.ended("returned")
	})
	t.Run("the Sync comes later", func(t *testing.T) {
		w, s := copies(wire.AppendFlush(nil))
		w.then(w.told(0, "CommandComplete COPY 1"), w.sends(syncs))
		w.then(s.words(t, "Sync"), s.says(ready))
		w.then(w.told(1, "ReadyForQuery I"), w.sends(terminate))
		w.run()
		w.ended("returned")
	})
}

// TestOthersSettingsStay checks that a server is closed if this client may not take back what
// another has set there. The client goes on with another server.
func TestOthersSettingsStay(t *testing.T) {
	w, s := sharingWorld(t, 2)
	s[0].server.Settings = pool.Settings{"role": "'su'", "log_min_messages": "'error'"}
	w.greeted(w.sends(simple("INSERT INTO plain VALUES (1)")))
	w.then(s[0].words(t, `Query RESET "role";RESET "log_min_messages";`), s[0].says(fault("ERROR", "42501"), ready))
	w.then(s[1].words(t, "Query INSERT INTO plain VALUES (1)"), s[1].says(done("INSERT 0 1")))
	w.then(w.told(1, "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	s[0].words(t)()
	w.ended("returned discarded")
}
