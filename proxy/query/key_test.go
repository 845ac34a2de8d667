package query

import (
	"strings"
	"testing"
)

func key(sql string) string {
	k, ok := AppendKey(nil, []byte(sql), Syntax{})
	if !ok {
		return "none"
	}
	return strings.TrimSpace(string(k))
}

func TestKeys(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"SELECT 1, 'a', 1.5, B'1', $1 FROM t -- c", "SELECT 0 , '' , 0.0 , B'0' , $1 FROM t"},
		{"SELECT /* x */ a  FROM\n\"t\" WHERE b='it''s' OR c=E'\\'' OR d=$$x$$", `SELECT a FROM "t" WHERE b = '' OR c = '' OR d = ''`},
		{"INSERT INTO t (a, b) VALUES (1, 'x')", "INSERT INTO t ( a , b ) VALUES ( 0 , '' )"},
		{"SELECT f('x'), lower('y')", "SELECT f ( '' ) , lower ( '' )"},
		{"(SELECT 1); WITH a AS (SELECT 2) TABLE a;", "( SELECT 0 ) ; WITH a AS ( SELECT 0 ) TABLE a ;"},
		{"", ""},
		{"SELECT nextval('s')", "none"},
		{"SELECT Set_Config ('a', 'b', false)", "none"},
		{`SELECT "set_config" /* x */ ('a', 'b', false)`, "none"},
		{`SELECT U&"set\005fconfig"('a', 'b', false)`, "none"},
		{"SELECT pg_catalog.pg_terminate_backend(1)", "none"},
		{"INSERT INTO t VALUES (1, setval('s', 5))", "none"},
		{"SET a = 'b'", "none"},
		{"SELECT 1; SET a = 'b'", "none"},
		{";EXPLAIN (ANALYZE 0) DELETE FROM t", "none"},
		{"EXECUTE p(1)", "none"},
		{"SELECT 'a", "none"},
	} {
		if got := key(c.sql); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.sql, got, c.want)
		}
	}
}

// shapeOf is the part of a Script that a key has to preserve.
func shapeOf(s *Script) string {
	var b strings.Builder
	for i := range s.Statements {
		st := s.Statements[i]
		st.Functions = nil
		for _, f := range s.Statements[i].Functions {
			f.Arguments = nil
			st.Functions = append(st.Functions, f)
		}
		b.WriteString(describeStatement(&st) + ";")
	}
	return b.String()
}

// checkKey parses the key itself, which is SQL with other literals.
func checkKey(t *testing.T, sql []byte) {
	t.Helper()
	k, ok := AppendKey(nil, sql, Syntax{})
	text, other := Parse(sql, Syntax{}), Parse(k, Syntax{})
	if !ok || text.Unknown() || other.Unknown() {
		return // the literal may be wrong, or UESCAPE may need it
	}
	if shapeOf(text) != shapeOf(other) {
		t.Errorf("%q and its key %q differ:\n%s\n%s", sql, k, shapeOf(text), shapeOf(other))
	}
}

func TestKeysKeepWhatMatters(t *testing.T) {
	keys := 0
	for _, path := range tables(t) {
		_, rows := readTable(t, path)
		for _, r := range rows {
			checkKey(t, []byte(r.sql))
			if key(r.sql) != "none" {
				keys++
			}
		}
	}
	if keys < 60 {
		t.Errorf("only %d statements have a key", keys)
	}
}

func TestKeyAllocatesNothing(t *testing.T) {
	sql := []byte("SELECT abalance, lower('x') FROM pgbench_accounts WHERE aid = 12345 AND b IN ('a', 'b')")
	buffer := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { AppendKey(buffer, sql, Syntax{}) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func FuzzKey(f *testing.F) {
	for _, seed := range []string{"SELECT f(1, 'a') FROM t WHERE b = 1.5;TABLE x", "WITH a AS (DELETE FROM t RETURNING 'x') SELECT set_config('a', '', true)", "SELECT U&'a' UESCAPE '!'"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sql []byte) { checkKey(t, sql) })
}
