package query

import (
	"runtime"
	"strings"
	"sync"
	"testing"
)

// places writes the texts of the statements with bars between them.
func places(s *Script) string {
	var all []string
	for _, st := range s.Statements {
		all = append(all, s.Text[st.Offset:st.Offset+st.Length])
	}
	return strings.Join(all, "|")
}

func TestPlaces(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                          "SELECT 1",
		" \n/* a;b */ SELECT 1 ;":           "SELECT 1",
		"-- x\nSELECT 1; -- y\n SELECT ';'": "SELECT 1|SELECT ';'",
		" /* x */ begin -- y":               "begin",
		"SELECT 'é'; SELECT 2":              "SELECT 'é'|SELECT 2",
		"SELECT '\xe9\xe8'; SELECT '\xe9'":  "SELECT '\xe9\xe8'|SELECT '\xe9'",
	} {
		if got := places(Parse([]byte(sql), Syntax{})); got != want {
			t.Errorf("%q: got %q, want %q", sql, got, want)
		}
	}
}

func TestBackslashEscapes(t *testing.T) {
	off := Syntax{BackslashEscapes: true}
	for sql, want := range map[string]string{
		`SELECT 'a\'; DELETE FROM t; --'`:          `read select`,
		`SELECT 'a\\'; DELETE FROM t; --'`:         `read select ; write delete effects=writes write:t`,
		`SET a TO 'x\ty'`:                          `session set name="a" value="'x\ty'"`,
		`SELECT set_config('a','b\'c', false)`:     `session select effects=setting set_config("a","b'c","false")!session`,
		`SELECT U&'\0041'`:                         `problem: invalid token`,
		`SELECT E'a\'' , 'b', N'\'', $$\$$ FROM t`: `read select read:t`,
		"SELECT 'a'\n'\\'; DELETE FROM t'":         `read select`,
	} {
		if got := describe(Parse([]byte(sql), off)); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
	sql := `SELECT 'a\'b';SELECT '\\';  SELECT 3`
	if got := places(Parse([]byte(sql), off)); got != `SELECT 'a\'b'|SELECT '\\'|SELECT 3` {
		t.Errorf("got places %s", got)
	}
	if got := describe(Parse([]byte(`SELECT 'a\'; DELETE FROM t; --'`), Syntax{})); got != "read select ; write delete effects=writes write:t" {
		t.Errorf("with standard_conforming_strings on: got %s", got)
	}
}

func TestBytesThatAreNotUTF8(t *testing.T) {
	script := Parse([]byte("SET app.x TO 'caf\xe9'; SELECT * FROM \"\xe9t\xe9\"; LISTEN \xe8"), Syntax{})
	if script.Unknown() {
		t.Fatal(script.Problem)
	}
	st := script.Statements
	if st[0].Value != "'caf\xe9'" || st[1].Tables[0].Name != "\xe9t\xe9" || st[2].Name != "\xe8" {
		t.Errorf("got value %q, table %q, name %q", st[0].Value, st[1].Tables[0].Name, st[2].Name)
	}
}

// TestCommentsAreNotParsed checks that comments are removed before the parse. pg_query's time grows with the square
// of the stars and slashes in a comment: 100 s for one of MaxBytes.
func TestCommentsAreNotParsed(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                          "SELECT 1",
		"SELECT/* a /* b */ * /*/**/*/*/1":  "SELECT                         1",
		"-- é\nSELECT '--', \"/*\", $$--$$": "     \nSELECT '--', \"/*\", $$--$$",
		"SELECT 'a' -- x\n'b' /*\n*/ - - 1": "SELECT 'a' -- x\n'b'       - - 1",
		"SELECT 1 --":                       "SELECT 1   ",
		"SELECT '\xe9' -- \xe9":             "SELECT 'é'     ",
	} {
		if got := readable(sql, Syntax{}).text; got != want {
			t.Errorf("%q is passed to the parser as %q, want %q", sql, got, want)
		}
	}
	if got := readable(`SELECT '\'--' -- '`, Syntax{BackslashEscapes: true}).text; got != `SELECT  E'\'--'     ` {
		t.Errorf("where backslashes escape: got %q", got)
	}
}

func TestUnsafeEncodings(t *testing.T) {
	sjis := []byte("SELECT E'\x95\x5c'; DELETE FROM t --'") // the backslash is the second byte of a character
	if got := Parse(sjis, Syntax{UnsafeEncoding: true}).Problem; got != UnsafeEncoding {
		t.Error(got)
	}
	if got := Parse([]byte("SELECT 'a'"), Syntax{UnsafeEncoding: true}).Problem; got != None {
		t.Errorf("plain ASCII: got problem %v", got)
	}
	for name, safe := range map[string]bool{"UTF8": true, "latin1": true, "EUC_JP": true, "SJIS": false, "Shift_JIS": false, "shift_jis_2004": false, "GB18030": false, "gbk": false, "Big5": false, "WIN949": false, "Johab": false} {
		if SafeEncoding(name) != safe {
			t.Errorf("encoding %s is safe: %v", name, !safe)
		}
	}
}

// TestQuickIsRight checks that a text that needs no parser gets the same answer as from the parser.
func TestQuickIsRight(t *testing.T) {
	for _, path := range tables(t) {
		_, rows := readTable(t, path)
		for _, r := range rows {
			st, ok := quick([]byte(r.sql), Syntax{})
			if got := describeStatement(&st); ok && got != r.want {
				t.Errorf("%s: got %s, want %s", r.sql, got, r.want)
			}
		}
	}
	if _, ok := quick([]byte("BEGIN; COMMIT"), Syntax{}); ok {
		t.Error("two statements count as a quick one")
	}
}

// TestThreadsComeAndGo checks that threads can end. The parser keeps memory for each thread under a key, of which a
// process has 1,024. A thread ends with the goroutine that is locked to it.
func TestThreadsComeAndGo(t *testing.T) {
	for range 150 {
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				runtime.LockOSThread()
				if got := describe(Parse([]byte("SELECT a FROM t"), Syntax{})); got != "read select read:t" {
					t.Error(got)
				}
				if Parse([]byte("SELECT FROM WHERE"), Syntax{}).Problem != BadSyntax {
					t.Error("a syntax error is not reported")
				}
			})
		}
		group.Wait()
	}
}

func TestNamesOfEnums(t *testing.T) {
	if len(kindNames) != int(DDL)+1 || kindNames[ExplainAnalyze] != "explain_analyze" || len(classNames) != int(Control)+1 || len(problemNames) != int(UnsafeEncoding)+1 {
		t.Error("the numbers of names and of constants differ")
	}
	if effectNames[len(effectNames)-1] != "clock" || effectNamed("clock") != ReadsClock || ReadsClock.String() != "clock" {
		t.Error("the numbers of effects and of their names differ")
	}
}

const statement = "SELECT t.abalance, t.filler, u.name FROM pgbench_accounts AS t JOIN users AS u ON u.id = t.bid " +
	"WHERE t.aid = 12345 AND u.state IN ('open', 'closed') ORDER BY t.abalance LIMIT 10 OFFSET 20 -- 200 b"

func BenchmarkLexer(b *testing.B) {
	sql := []byte(statement)
	b.SetBytes(int64(len(sql)))
	b.ReportAllocs()
	for b.Loop() {
		check(sql, Syntax{})
	}
}

func BenchmarkKey(b *testing.B) {
	sql, buffer := []byte(statement), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		AppendKey(buffer, sql, Syntax{})
	}
}

func BenchmarkCacheHit(b *testing.B) {
	c := NewCache(10_000, 64<<20)
	sql := []byte(statement)
	c.Parse(sql, Syntax{})
	b.ReportAllocs()
	for b.Loop() {
		c.Cached(sql, Syntax{})
	}
}

func BenchmarkParse(b *testing.B) {
	Warm()
	for name, sql := range map[string]string{
		"begin": "BEGIN", "set": "SET work_mem = '64MB'", "select": "SELECT abalance FROM pgbench_accounts WHERE aid = 1", "join": statement,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Parse([]byte(sql), Syntax{})
			}
		})
	}
}

// BenchmarkParseLimits measures the longest parse that the limits allow.
func BenchmarkParseLimits(b *testing.B) {
	for name, sql := range map[string][]byte{
		"wide":    []byte("SELECT 1" + strings.Repeat(",a", MaxTokens/2-2)),
		"deep":    nested(deep["case"], deepest(deep["case"])),
		"literal": []byte("SELECT '" + strings.Repeat("x", MaxBytes-9) + "'"),
		"rows":    []byte("INSERT INTO t VALUES (1)" + strings.Repeat(",(-1::int)", MaxTokens/7-2)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Parse(sql, Syntax{})
			}
		})
	}
}

// TestLiteral checks that a literal means the same under any standard_conforming_strings.
func TestLiteral(t *testing.T) {
	for value, want := range map[string]string{
		"": "''", "a": "'a'", "it's": "'it''s'", `\`: `E'\\'`, `a\'b`: `E'a\\''b'`, "a\nb": "'a\nb'",
	} {
		if got := Literal(value); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
		for _, backslashes := range []bool{false, true} {
			script := Parse([]byte("SET app.x TO "+Literal(value)), Syntax{BackslashEscapes: backslashes})
			if script.Unknown() || len(script.Statements) != 1 || script.Statements[0].Values[0] != value {
				t.Errorf("%q is read as %+v", value, script)
			}
		}
	}
}
