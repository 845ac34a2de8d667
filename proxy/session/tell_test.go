package session

import (
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/querylog"
	"pgherd/proxy/wire"
)

const everything = querylog.Statements | querylog.Nodes | querylog.NodeNotices | querylog.Messages

// told are the lines of the log.
func (w *herdWorld) told() (lines []string) {
	for _, l := range w.lines {
		lines = append(lines, strings.TrimSuffix(l.Message+" DETAIL "+l.Detail, " DETAIL "))
	}
	return lines
}

// named is a statement prepared by name, and run.
func named(name, sql string) []byte {
	return slices.Concat(wire.AppendParse(nil, name, sql, nil), wire.AppendDescribe(nil, 'S', name),
		wire.AppendBind(nil, &wire.BindView{Statement: []byte(name)}), wire.AppendExecute(nil, "", 0),
		wire.AppendClose(nil, 'P', ""), syncs)
}

// TestTells checks that the lines have Pgpool-II's form.
func TestTells(t *testing.T) {
	inTransaction := func(m ...[]byte) []byte { return slices.Concat(m...) }
	for name, c := range map[string]struct {
		tells   querylog.Tells
		mode    pool.Mode
		routing bool
		sent    []byte
		want    []string
		notices []string
	}{
		"nothing": {0, pool.Transaction, true, simple("SELECT * FROM t"), nil, nil},
		"log_statement": {querylog.Statements, pool.Transaction, true, inTransaction(simple("SELECT 'a'\n"), named("s", "DELETE FROM t")),
			[]string{"statement: SELECT 'a'\n", "statement: DELETE FROM t"}, nil},
		"log_per_node_statement": {querylog.Nodes, pool.Transaction, true, simple("SELECT * FROM t"),
			[]string{"DB node id: 1 backend pid: 1 statement: SELECT * FROM t"}, nil},
		"a BEGIN held back, and taken back": {querylog.Nodes | querylog.NodeNotices, pool.Transaction, true,
			inTransaction(simple("BEGIN"), simple("SELECT * FROM t"), simple("DELETE FROM t"), simple("COMMIT")),
			[]string{"DB node id: 1 backend pid: 1 statement: BEGIN", "DB node id: 1 backend pid: 1 statement: SELECT * FROM t",
				"DB node id: 1 backend pid: 1 statement: ROLLBACK", "DB node id: 0 backend pid: 2 statement: BEGIN",
				"DB node id: 0 backend pid: 2 statement: DELETE FROM t", "DB node id: 0 backend pid: 2 statement: COMMIT"},
			[]string{"DB node id: 1 statement: BEGIN", "DB node id: 1 statement: SELECT * FROM t", "DB node id: 1 statement: ROLLBACK",
				"DB node id: 0 statement: BEGIN", "DB node id: 0 statement: DELETE FROM t", "DB node id: 0 statement: COMMIT"}},
		"by the extended protocol": {querylog.Nodes, pool.Transaction, true, named("s", "SELECT * FROM t"), []string{
			"DB node id: 1 backend pid: 1 statement: Parse: SELECT * FROM t", "DB node id: 1 backend pid: 1 statement: D message",
			"DB node id: 1 backend pid: 1 statement: Bind: SELECT * FROM t", "DB node id: 1 backend pid: 1 statement: Execute: SELECT * FROM t",
			"DB node id: 1 backend pid: 1 statement: C message"}, nil},
		"where servers are not shared": {querylog.Nodes | querylog.Statements, pool.Session, false, named("s", "SELECT * FROM t"), []string{
			"DB node id: 0 backend pid: 1 statement: Parse: SELECT * FROM t", "DB node id: 0 backend pid: 1 statement: D message",
			"DB node id: 0 backend pid: 1 statement: Bind: SELECT * FROM t", "statement: SELECT * FROM t",
			"DB node id: 0 backend pid: 1 statement: Execute: SELECT * FROM t", "DB node id: 0 backend pid: 1 statement: C message"}, nil},
		"log_client_messages": {querylog.Messages, pool.Transaction, true, inTransaction(simple("SELECT 1"), named("s", "SELECT 2")), []string{
			`Query message from frontend. DETAIL query: "SELECT 1"`, `Parse message from frontend. DETAIL statement: "s", query: "SELECT 2"`,
			`Describe message from frontend. DETAIL statement: "s"`, `Bind message from frontend. DETAIL portal: "", statement: "s"`,
			`Execute message from frontend. DETAIL portal: ""`, `Close message from frontend. DETAIL portal: ""`,
			`Sync message from frontend.`, `Terminate message from frontend.`}, nil},
		"a command to pgherd goes to no node": {querylog.Nodes | querylog.NodeNotices, pool.Transaction, true, simple("show a"), nil, nil},
		"a statement that was never prepared": {querylog.Nodes | querylog.Statements, pool.Transaction, true,
			inTransaction(wire.AppendBind(nil, &wire.BindView{Statement: []byte("x")}), wire.AppendExecute(nil, "y", 0), syncs), []string{
				`DB node id: 0 backend pid: 1 statement: Bind: prepared statement "x"`, `statement: portal "y"`,
				`DB node id: 0 backend pid: 1 statement: Execute: portal "y"`}, nil},
		"messages cut short": {everything, pool.Transaction, true, inTransaction([]byte{'D', 0, 0, 0, 4}), []string{
			`Describe message from frontend. DETAIL portal: ""`, "DB node id: 0 backend pid: 1 statement: D message",
			"Terminate message from frontend."}, []string{"DB node id: 0 statement: D message"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHerdWorld(t)
			w.set.Tells, w.set.Modes.Default = c.tells, c.mode
			if !c.routing {
				w.set.Routing = nil
			}
			w.sends(c.sent)
			w.sends()
			w.live()
			if got := w.told(); !slices.Equal(got, c.want) {
				t.Errorf("the log is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			if !slices.Equal(w.notices, c.notices) {
				t.Errorf("notices are %q, want %q", w.notices, c.notices)
			}
		})
	}
}

// TestNoticesComeInOrder checks that each notice comes before the answer to its statement, in a
// pipeline, too.
func TestNoticesComeInOrder(t *testing.T) {
	w := newWorld(t)
	w.set.Tells = querylog.NodeNotices
	s := w.server()
	w.greeted(w.client.says(simple("q1"), simple("q2"), parse("q3"), execute, syncs))
	w.then(s.gets(t, "Query q1", "Query q2", "Parse", "Bind", "Execute", "Sync"), w.client.gets(t, "NoticeResponse NOTICE 00000"),
		s.says(done("Q1"), done("Q2")))
	w.then(w.client.gets(t, "CommandComplete Q1", "ReadyForQuery I", "NoticeResponse NOTICE 00000", "CommandComplete Q2", "ReadyForQuery I",
		"NoticeResponse NOTICE 00000"), s.says(wire.AppendParseComplete(nil), fault("ERROR", "42601"), ready))
	w.then(w.client.gets(t, "ParseComplete", "NoticeResponse NOTICE 00000", "ErrorResponse ERROR 42601", "ReadyForQuery I")) // the Execute was skipped
	w.bows(s)
	w.run()
	w.ended("returned")
}

// TestTellsNothingOfLongTexts checks that only the beginning of a long text is logged.
func TestTellsNothingOfLongTexts(t *testing.T) {
	w := newHerdWorld(t)
	w.set.Tells = querylog.Statements
	long := simple("SELECT '" + strings.Repeat("x", wire.WholeLimit) + "'")
	w.then(w.client.says(long[:1000]), w.client.says(long[1000:]))
	w.sends()
	w.live()
	if got := w.told(); len(got) != 1 || !strings.HasPrefix(got[0], "statement: SELECT 'xxx") || len(got[0]) > 2*wire.FirstLimit {
		t.Errorf("the log has %d lines, the first of %d bytes: %.80q", len(got), len(got[0]), got)
	}
}
