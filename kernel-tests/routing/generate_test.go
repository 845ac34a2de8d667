package routing_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// step is sent at once, up to its last ReadyForQuery.
type step struct {
	text  string // for the report
	reads int    // number of statements that could go to any node
	send  []pgproto3.FrontendMessage
}

// generator makes a random script.
type generator struct {
	*rand.Rand
	owner    int
	steps    []step
	prepared map[string]string // names of statements prepared by the protocol, by text
	names    int
	cursors  int
}

// statement is a text with parameters, $1 and so on, all of type int or text.
type statement struct {
	sql  string
	args []string
	kind kind
}

type kind uint8

const (
	other  kind = iota
	read        // it could run on any node
	copyIn      // its data follow
)

const (
	scenes = 14 // number of scenes in a script
	keys   = 8  // number of rows of an owner
)

// generate makes a script, which depends only on the seed.
func generate(seed uint64) []step {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), owner: int(seed), prepared: map[string]string{}}
	g.simple(statement{sql: fmt.Sprintf("DELETE FROM item WHERE owner = %[1]d; DELETE FROM other.item WHERE owner = %[1]d; DELETE FROM quick WHERE owner = %[1]d", g.owner)})
	g.simple(statement{sql: fmt.Sprintf("INSERT INTO item (owner, k, v) SELECT %d, i, 'v' || i FROM generate_series(1, 4) i", g.owner)})
	for range scenes {
		g.scene()
	}
	g.simple(statement{sql: "ROLLBACK"})
	g.simple(statement{sql: fmt.Sprintf("SELECT k, v FROM item WHERE owner = %d ORDER BY k", g.owner), kind: read})
	return g.steps
}

func (g *generator) scene() {
	switch g.IntN(14) {
	case 0, 1, 2:
		for range 1 + g.IntN(3) {
			g.send(g.read())
		}
	case 3, 4:
		g.send(g.write())
		g.send(g.read())
	case 5:
		g.send(g.setting())
		g.send(g.dependent())
	case 6:
		if g.IntN(2) == 0 { // not always, because after DDL all sessions read from the primary for a while
			g.send(g.oddity())
		}
	case 7:
		g.pipeline(2 + g.IntN(5))
	case 8:
		g.several()
	case 9:
		g.sqlPrepared()
	default:
		g.block()
	}
}

// block is a transaction, with anything that may happen in one.
func (g *generator) block() {
	begin := pick(g, begins)
	if *known && g.IntN(6) == 0 {
		begin = "START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
	}
	g.send(statement{sql: begin})
	for range g.IntN(6) {
		switch g.IntN(16) {
		case 0, 1, 2, 3, 4, 5:
			g.send(g.read())
		case 6, 7:
			g.send(g.write())
		case 8:
			g.send(statement{sql: pick(g, inside)})
		case 9:
			g.savepoint()
		case 10:
			g.cursor()
		case 11:
			g.portal()
		case 12:
			g.send(g.setting())
			g.send(g.dependent())
		case 13:
			g.send(g.wrong())
		case 14:
			g.pipeline(1 + g.IntN(4))
		case 15:
			g.send(g.oddity())
		}
	}
	g.send(statement{sql: pick(g, ends)})
}

func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

var begins = []string{"BEGIN", "BEGIN", "BEGIN", "begin;", "START TRANSACTION", " BEGIN WORK", "BEGIN READ ONLY", "BEGIN READ WRITE",
	"BEGIN ISOLATION LEVEL REPEATABLE READ", "/* a comment */ BEGIN",
	"BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE", "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", "BEGIN NOT DEFERRABLE"}

var ends = []string{"COMMIT", "COMMIT", "COMMIT", "END", "commit;", "ROLLBACK", "ROLLBACK", "ABORT", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "COMMIT AND NO CHAIN"}

var inside = []string{"SET TRANSACTION READ ONLY", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET TRANSACTION READ WRITE", "BEGIN",
	"SHOW transaction_isolation", "SHOW transaction_read_only", "SELECT current_setting('transaction_read_only')", "SELECT now() = transaction_timestamp()",
	"SELECT 1 WHERE pg_advisory_xact_lock(4711) IS NULL", "LOCK TABLE item IN ACCESS SHARE MODE", "SET LOCAL work_mem = '5MB'", "SHOW work_mem",
	"SET CONSTRAINTS ALL IMMEDIATE", "SET LOCAL statement_timeout = 0"}

func (g *generator) key() string { return strconv.Itoa(1 + g.IntN(keys)) }

// of replaces %d by the owner, and passes the rest as parameters.
func (g *generator) of(kind kind, sql string, args ...string) statement {
	return statement{sql: strings.ReplaceAll(sql, "%d", strconv.Itoa(g.owner)), args: args, kind: kind}
}

func (g *generator) read() statement {
	switch g.IntN(18) {
	case 0, 1, 2, 3:
		return g.of(read, "SELECT k, v FROM item WHERE owner = %d AND k = $1::int", g.key())
	case 4, 5:
		return g.of(read, "SELECT k, v FROM item WHERE owner = %d ORDER BY k")
	case 6:
		return g.of(read, "SELECT count(*), max(v) FROM items WHERE owner = %d AND k > $1::int", g.key())
	case 7:
		return g.of(read, "SELECT total(%d)")
	case 8:
		return g.of(read, "SELECT square(k) FROM item WHERE owner = %d ORDER BY k")
	case 9:
		return g.of(read, "WITH few AS (SELECT * FROM item WHERE owner = %d AND k <= $1::int) SELECT v FROM few ORDER BY k", g.key())
	case 10:
		return g.of(read, "COPY (SELECT k, v FROM item WHERE owner = %d ORDER BY k) TO STDOUT")
	case 11:
		return g.of(read, "SELECT k FROM item WHERE owner = %d AND v = $1::text ORDER BY k", "v"+g.key())
	case 12:
		return g.of(read, "SELECT a.k FROM item a JOIN other.item b USING (owner, k) WHERE owner = %d ORDER BY 1")
	case 13:
		return g.of(read, "TABLE item EXCEPT SELECT * FROM item")
	case 14:
		return g.of(read, "VALUES (1, $1::text), (2, 'two')", "one")
	case 15:
		return g.of(other, "SELECT count(*) FROM quick WHERE owner = %d")
	case 16:
		return g.of(other, "SELECT k FROM item WHERE owner = %d ORDER BY k FOR UPDATE")
	}
	return g.of(other, "/* a comment */ SELECT count(*) FROM item WHERE owner = %d")
}

func (g *generator) write() statement {
	k, v := g.key(), "w"+strconv.Itoa(g.IntN(100))
	switch g.IntN(16) {
	case 0, 1:
		return g.of(other, "INSERT INTO item (owner, k, v) VALUES (%d, $1::int, $2::text) ON CONFLICT (owner, k) DO UPDATE SET v = $2::text", k, v)
	case 2:
		return g.of(other, "UPDATE item SET v = $2::text WHERE owner = %d AND k >= $1::int", k, v)
	case 3:
		return g.of(other, "DELETE FROM item WHERE owner = %d AND k = $1::int RETURNING v", k)
	case 4:
		return g.of(other, "SELECT put(%d, $1::int, $2::text)", k, v)
	case 5:
		return g.of(other, "WITH new AS (INSERT INTO other.item (owner, k, v) VALUES (%d, $1::int, $2::text) ON CONFLICT DO NOTHING RETURNING k) SELECT count(*) FROM new", k, v)
	case 6:
		return g.of(copyIn, "COPY quick FROM STDIN")
	case 7:
		return g.of(other, "CALL store(%d, "+k+", '"+v+"')")
	case 8:
		return g.of(other, "DO $$ BEGIN PERFORM put(%d, "+k+", '"+v+"'); END $$")
	case 9:
		return g.of(other, "INSERT INTO item (owner, k, v) VALUES (%d, $1::int, $2::text)", k, v) // the row may be there already
	case 10:
		return g.of(other, "SELECT drawn FROM tickets")
	case 11:
		return g.of(other, "SELECT nextval('ticket') > 0 FROM item WHERE owner = %d LIMIT 1")
	case 12:
		return g.of(other, "EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF, TIMING OFF, SUMMARY OFF) INSERT INTO quick VALUES (%d, 1)")
	case 13:
		return g.of(other, "INSERT INTO quick SELECT owner, k FROM item WHERE owner = %d")
	case 14:
		return g.of(other, "MERGE INTO item t USING (SELECT %d AS o, $1::int AS k) s ON t.owner = s.o AND t.k = s.k "+
			"WHEN MATCHED THEN UPDATE SET v = $2::text WHEN NOT MATCHED THEN INSERT (owner, k, v) VALUES (s.o, s.k, $2::text)", k, v)
	}
	return g.of(other, "UPDATE item SET made = now() WHERE owner = %d RETURNING made = now()")
}

// wrong is a statement that fails.
func (g *generator) wrong() statement {
	switch g.IntN(6) {
	case 0:
		return g.of(other, "SELECT 1 / (k - k) FROM item WHERE owner = %d")
	case 1:
		return g.of(other, "SELECT nothing FROM item")
	case 2:
		return g.of(other, "SELEC 1")
	case 3:
		return g.of(other, "INSERT INTO item (owner, k) SELECT owner, k FROM item WHERE owner = %d ORDER BY k")
	case 4:
		return g.of(other, "SELECT * FROM missing")
	}
	return g.of(other, "SELECT $1::int / 0", g.key())
}

func (g *generator) setting() statement {
	return statement{sql: pick(g, []string{"SET work_mem = '7MB'", "RESET work_mem", "SET DateStyle = 'German'", "SET DateStyle = 'SQL, DMY'", "RESET DateStyle",
		"SET TimeZone = 'Asia/Tokyo'", "SET TIME ZONE DEFAULT", "SET search_path = other, public", "SET search_path TO public, other", "RESET search_path",
		"SET application_name = 'report'", "RESET application_name", "SET extra_float_digits = 0", "RESET ALL", "SET bytea_output = escape",
		"SELECT set_config('work_mem', '9MB', false)", "SET LOCAL DateStyle = 'German'", "SET intervalstyle = 'iso_8601'", "DISCARD PLANS",
		"SET default_transaction_isolation = 'repeatable read'", "SET default_transaction_isolation = 'serializable'", "RESET default_transaction_isolation",
		"SET default_transaction_read_only = on", "SET default_transaction_read_only = off", "RESET default_transaction_read_only",
		"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"})}
}

// dependent is a statement whose answer depends on settings.
func (g *generator) dependent() statement {
	return g.of(read, pick(g, []string{"SELECT date '2026-02-03', timestamptz '2026-02-03 04:05:06Z', count(*) FROM item WHERE owner = %d",
		"SELECT 0.1::float8 + 0.2::float8, '\\x0102'::bytea, interval '1 day 2 hours', total(%d)", "SELECT count(*), max(v) FROM item WHERE owner = %d",
		"SELECT '03/02/2026'::date, count(*) FROM item WHERE owner = %d"}))
}

// oddity is a statement that leaves something in its session, or uses that.
func (g *generator) oddity() statement {
	const shadow = "CREATE TEMP TABLE item (owner int, k int, v text) ON COMMIT DROP"
	st := g.of(other, pick(g, []string{"CREATE TEMP TABLE IF NOT EXISTS mine AS SELECT * FROM item WHERE owner = %d", "SELECT count(*) FROM mine", "DROP TABLE IF EXISTS mine",
		shadow, "SELECT pg_advisory_lock(%d) IS NULL", "SELECT pg_advisory_unlock_all() IS NULL",
		"DECLARE held CURSOR WITH HOLD FOR SELECT k FROM item WHERE owner = %d ORDER BY k", "FETCH 2 FROM held", "CLOSE ALL", "DISCARD ALL",
		"SELECT k, v INTO TEMP brief FROM item WHERE owner = %d", "SELECT count(*) FROM brief", "DISCARD TEMP", "", "-- nothing", "SHOW work_mem", "SHOW in_hot_standby",
		"SELECT pg_is_in_recovery()", "VACUUM quick", "COMMIT", "ROLLBACK", "SAVEPOINT alone", "EXPLAIN (COSTS OFF) SELECT 1", "SET TRANSACTION READ ONLY",
		"DELETE FROM quick WHERE owner = %d", "DEALLOCATE ALL", "SELECT count(*) FROM pg_prepared_statements WHERE name = 'sql'"}))
	if st.sql == shadow {
		clear(g.prepared) // the session's server would still use old plans; a server that has none would not
	}
	return st
}

func (g *generator) savepoint() {
	g.send(statement{sql: "SAVEPOINT a"})
	for range g.IntN(3) {
		g.send(pick(g, []func() statement{g.read, g.write, g.wrong, g.setting})())
	}
	g.send(statement{sql: pick(g, []string{"RELEASE a", "ROLLBACK TO a", "ROLLBACK TO SAVEPOINT a", "ROLLBACK TO nobody"})})
}

// cursor uses a cursor of SQL.
func (g *generator) cursor() {
	g.cursors++
	name := fmt.Sprint("c", g.cursors)
	g.send(g.of(read, "DECLARE "+name+pick(g, []string{"", " SCROLL", " NO SCROLL"})+" CURSOR FOR SELECT k, v FROM item WHERE owner = %d ORDER BY k"))
	for range 1 + g.IntN(3) {
		g.send(pick(g, []func() statement{g.read, g.write,
			func() statement {
				return g.of(other, pick(g, []string{"FETCH 2 FROM ", "FETCH ALL FROM ", "MOVE 1 FROM "})+name)
			}})())
	}
	g.send(statement{sql: pick(g, []string{"FETCH 1 FROM " + name, "CLOSE " + name})})
}

// portal uses a portal, which is run in pieces with other statements between them.
func (g *generator) portal() {
	g.cursors++
	name, st := fmt.Sprint("portal", g.cursors), g.of(read, "SELECT k, v FROM item WHERE owner = %d ORDER BY k")
	g.add("portal: "+st.sql, 1, &pgproto3.Parse{Query: st.sql}, &pgproto3.Bind{DestinationPortal: name},
		&pgproto3.Execute{Portal: name, MaxRows: 1}, &pgproto3.Sync{})
	g.send(pick(g, []func() statement{g.read, g.write, g.wrong})())
	g.add("rest of the portal", 0, &pgproto3.Describe{ObjectType: 'P', Name: name}, &pgproto3.Execute{Portal: name, MaxRows: 2}, &pgproto3.Sync{})
	g.add("close the portal", 0, &pgproto3.Close{ObjectType: 'P', Name: name}, &pgproto3.Sync{})
}

func (g *generator) sqlPrepared() {
	g.send(g.of(read, "PREPARE sql (int) AS SELECT k, v FROM item WHERE owner = %d AND k = $1"))
	for range 1 + g.IntN(2) {
		g.send(pick(g, []func() statement{g.read, g.write})())
		g.send(statement{sql: "EXECUTE sql (" + g.key() + ")"})
	}
	g.send(statement{sql: pick(g, []string{"DEALLOCATE sql", "DEALLOCATE sql", "DISCARD ALL"})})
	clear(g.prepared) // DISCARD ALL has dropped them, and a Parse of one again would fail otherwise
}

// several makes one text of several statements.
func (g *generator) several() {
	var texts []string
	kind := read
	for range 2 + g.IntN(3) {
		st := pick(g, []func() statement{g.read, g.read, g.read, g.write, g.wrong, g.setting, func() statement { return statement{sql: "BEGIN"} },
			func() statement { return statement{sql: "COMMIT"} }})()
		if st.kind == copyIn {
			continue
		}
		if st.kind != read {
			kind = other
		}
		texts = append(texts, inlined(st))
	}
	g.simple(statement{sql: strings.Join(texts, "; "), kind: kind})
}

// inlined is the statement with its parameters in the text.
func inlined(st statement) string {
	sql := st.sql
	for i, arg := range st.args {
		sql = strings.ReplaceAll(sql, fmt.Sprint("$", i+1, "::"), "'"+arg+"'::")
	}
	return sql
}

// send makes a step of one statement, by either protocol.
func (g *generator) send(st statement) {
	if g.IntN(5) < 2 {
		g.simple(st)
		return
	}
	g.add("extended: "+inlined(st), count(st), append(g.extended(st), &pgproto3.Sync{})...)
}

func count(st statement) int {
	if st.kind == read {
		return 1
	}
	return 0
}

func (g *generator) simple(st statement) {
	send := []pgproto3.FrontendMessage{&pgproto3.Query{String: inlined(st)}}
	g.add(inlined(st), count(st), append(send, g.data(st)...)...)
}

// data are sent right after a COPY. If that fails, the server skips them.
func (g *generator) data(st statement) []pgproto3.FrontendMessage {
	if st.kind != copyIn {
		return nil
	}
	if g.IntN(4) == 0 {
		return []pgproto3.FrontendMessage{&pgproto3.CopyFail{Message: "enough"}}
	}
	return []pgproto3.FrontendMessage{&pgproto3.CopyData{Data: fmt.Appendf(nil, "%d\t1\n%d\t2\n", g.owner, g.owner)}, &pgproto3.CopyDone{}}
}

// extended runs a statement, unnamed or by a name. A statement that was not prepared because of an error is nevertheless
// used.
func (g *generator) extended(st statement) (all []pgproto3.FrontendMessage) {
	name, known := "", false
	if g.IntN(2) == 0 {
		if name, known = g.prepared[st.sql]; !known {
			g.names++
			name = fmt.Sprint("s", g.names)
			g.prepared[st.sql] = name
		}
	}
	if !known {
		all = append(all, &pgproto3.Parse{Name: name, Query: st.sql})
	}
	if g.IntN(4) == 0 {
		all = append(all, &pgproto3.Describe{ObjectType: 'S', Name: name})
	}
	var args [][]byte
	for _, arg := range st.args {
		args = append(args, []byte(arg))
	}
	all = append(all, &pgproto3.Bind{PreparedStatement: name, Parameters: args})
	if g.IntN(2) == 0 {
		all = append(all, &pgproto3.Describe{ObjectType: 'P'})
	}
	return append(append(all, &pgproto3.Execute{}), g.data(st)...)
}

// pipeline sends many statements before it reads the first answer.
func (g *generator) pipeline(n int) {
	var text []string
	var send []pgproto3.FrontendMessage
	reads := 0
	for range n {
		st := pick(g, []func() statement{g.read, g.read, g.read, g.write, g.wrong})()
		if g.IntN(10) == 0 { // after a read in the same pipeline, BEGIN with a mode is an error, unless pgherd sends the two to different nodes
			st = statement{sql: pick(g, append([]string{"BEGIN"}, ends...))}
		}
		if reads += count(st); g.IntN(6) == 0 {
			send = append(append(send, &pgproto3.Sync{}, &pgproto3.Query{String: inlined(st)}), g.data(st)...) // after an error the server skips it up to a Sync
			text = append(text, "sync", "query "+inlined(st))
			continue
		}
		send, text = append(send, g.extended(st)...), append(text, inlined(st))
		if g.IntN(2) == 0 {
			send, text = append(send, &pgproto3.Sync{}), append(text, "sync")
		}
	}
	g.add("pipeline: "+strings.Join(text, " | "), reads, append(send, &pgproto3.Sync{})...)
}

func (g *generator) add(text string, reads int, send ...pgproto3.FrontendMessage) {
	g.steps = append(g.steps, step{text, reads, send})
}
