package query

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"pgherd/proxy/query/lex"
)

// deep are the ways in which the grammar nests: the text before, what is repeated, the text between, what is
// repeated, the text after.
var deep = map[string][5]string{
	"sum":           {"SELECT 1", "+1", "", "", ""},
	"operators":     {"SELECT 1", "||1", "", "", ""},
	"prefix":        {"SELECT ", "~ ", "1", "", ""},
	"minus":         {"SELECT ", "- ", "a", "", ""},
	"not":           {"SELECT ", "NOT ", "a", "", ""},
	"and":           {"SELECT a", " AND a", "", "", ""},
	"and or":        {"SELECT a", " AND a OR a", "", "", ""},
	"cast":          {"SELECT 1", "::int", "", "", ""},
	"subscript":     {"SELECT a", "[1]", "", "", ""},
	"nested index":  {"SELECT a", "[a", "", "]", ""},
	"field":         {"SELECT (a)", ".b", "", "", ""},
	"parentheses":   {"SELECT ", "(", "1", ")", ""},
	"rows":          {"SELECT ", "ROW(", "1", ")", ""},
	"scalar select": {"SELECT ", "(SELECT ", "1", ")", ""},
	"from select":   {"", "SELECT * FROM (", "SELECT 1", ") t", ""},
	"exists":        {"SELECT 1", " WHERE EXISTS (SELECT 1", "", ")", ""},
	"in select":     {"SELECT 1", " WHERE 1 IN (SELECT 1", "", ")", ""},
	"case":          {"SELECT ", "CASE WHEN a THEN b ELSE ", "1", " END", ""},
	"case test":     {"SELECT ", "CASE ", "1", " WHEN 1 THEN 1 END", ""},
	"function":      {"SELECT ", "f(", "1", ")", ""},
	"coalesce":      {"SELECT ", "COALESCE(1, ", "1", ")", ""},
	"array":         {"SELECT ", "ARRAY[", "1", "]", ""},
	"join":          {"SELECT 1 FROM a", " JOIN b ON c", "", "", ""},
	"cross join":    {"SELECT 1 FROM a", ",b CROSS JOIN c", "", "", ""},
	"join nested":   {"SELECT 1 FROM ", "a JOIN ", "b", " ON c", ""},
	"natural join":  {"SELECT 1 FROM a", " NATURAL JOIN b", "", "", ""},
	"union":         {"SELECT 1, 2", " UNION ALL SELECT 1, 2", "", "", ""},
	"intersect":     {"SELECT 1", " INTERSECT SELECT 1, 2", "", "", ""},
	"values":        {"VALUES (1)", " EXCEPT VALUES (1), (2)", "", "", ""},
	"with":          {"", "WITH a AS (", "SELECT 1", ") SELECT 1", ""},
	"is null":       {"SELECT 1", " IS NULL", "", "", ""},
	"is true":       {"SELECT 1", " IS TRUE", "", "", ""},
	"collate":       {"SELECT 1", " COLLATE a", "", "", ""},
	"time zone":     {"SELECT 1", " AT TIME ZONE a", "", "", ""},
	"operator()":    {"SELECT 1", " OPERATOR(a.+) 1", "", "", ""},
	"between":       {"SELECT ", "1 BETWEEN (", "1", ") AND 1", ""},
	"atomic":        {"", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; ", "SELECT 1;", " END;", ""},
	"row security":  {"CREATE POLICY p ON t USING (a", "+1", "", "", ")"},
	"default":       {"CREATE TABLE t (a int DEFAULT 1", "::int", "", "", ")"},
}

func nested(shape [5]string, n int) []byte {
	return []byte(shape[0] + strings.Repeat(shape[1], n) + shape[2] + strings.Repeat(shape[3], n) + shape[4])
}

// deepest is the largest number of repetitions that check allows, up to a limit.
func deepest(shape [5]string) int {
	low, high := 1, 20_000
	for low < high {
		middle := (low + high + 1) / 2
		if check(nested(shape, middle), Syntax{}) == None {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

const (
	childVariable = "PGHERD_QUERY_CHILD"
	childStack    = "1024" // stack size of every thread in KB; the usual one is 8192
)

// TestDeepestAllowed parses the deepest statements that the limits allow, in a process whose stacks are an eighth
// of the usual size. If they did not suffice, it would die by SIGSEGV.
func TestDeepestAllowed(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		for name, shape := range deep {
			script := Parse(nested(shape, deepest(shape)), Syntax{})
			fmt.Println(name, script.Problem, len(script.Statements))
		}
		return
	}
	child := exec.Command("sh", "-c", "ulimit -s "+childStack+` && exec "$0" -test.run='^TestDeepestAllowed$'`, os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("the child process failed: %v\n%s", err, out[:min(len(out), 2000)])
	}
	if !bytes.Contains(out, []byte("function ")) {
		t.Fatalf("the child parsed nothing: %s", out)
	}
}

// treeDepth is the depth to which the messages of a tree are nested.
func treeDepth(m protoreflect.Message) int {
	deepest := 0
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				deepest = max(deepest, treeDepth(v.List().Get(i).Message()))
			}
		default:
			deepest = max(deepest, treeDepth(v.Message()))
		}
		return true
	})
	return deepest + 1
}

// bound is the most that the nesting in a string may add up to.
func bound(sql []byte) int {
	var n nesting
	most := 0
	lexer := lex.New(sql, Syntax{})
	for t := lexer.Next(); t.Kind != lex.End && t.Kind != lex.Invalid; t = lexer.Next() {
		n.token(sql, t)
		most = max(most, n.sum)
	}
	return most
}

// A token that can nest makes a few messages: a node, what contains it, a list. These limits hold for everything
// below; a way to nest that is not counted would exceed them by far.
// for everything below; a way to nest that is not counted breaks them by far.
const (
	messagesPerToken = 4
	messagesAtLeast  = 24
)

func checkDepth(t *testing.T, sql []byte) {
	t.Helper()
	tree, err := pg.Parse(string(sql))
	if err != nil {
		return // the shape has too many levels for the grammar, or a syntax error
	}
	if depth, b := treeDepth(tree.ProtoReflect()), bound(sql); depth > messagesPerToken*b+messagesAtLeast {
		t.Errorf("%.80q: the depth is %d, but the bound %d", sql, depth, b)
	}
}

func TestNestingIsAnUpperBound(t *testing.T) {
	for _, shape := range deep {
		for _, n := range []int{1, 10, 200} {
			checkDepth(t, nested(shape, n))
		}
	}
	for _, path := range tables(t) {
		_, rows := readTable(t, path)
		for _, r := range rows {
			checkDepth(t, []byte(r.sql))
		}
	}
}

func TestShapesAreSQL(t *testing.T) {
	for name, shape := range deep {
		if script := Parse(nested(shape, 3), Syntax{}); script.Unknown() && name != "between" {
			t.Errorf("%s: %s: %s", name, nested(shape, 3), script.Problem)
		}
	}
}

func TestLimits(t *testing.T) {
	repeat := func(s string, n int) []byte { return bytes.Repeat([]byte(s), n) }
	wide := func(head, item string, n int) []byte { return append([]byte(head), repeat(item, n)...) }
	for _, c := range []struct {
		name string
		sql  []byte
		want Problem
	}{
		{"10 MB", repeat("SELECT 1;", 10<<20/9), TooLong},
		{"10 MB in one literal", wide("SELECT '", "x", 10<<20), TooLong},
		{"a literal just short enough", append(wide("SELECT '", "x", MaxBytes-9), '\''), None},
		{"many tokens", wide("SELECT 1", ",1", MaxTokens), TooManyTokens},
		{"many statements", repeat("SELECT 1;", MaxTokens/3), None},
		{"too many statements", repeat("SELECT 1;", MaxTokens), TooManyTokens},
		{"10,000 parentheses", nested(deep["parentheses"], 9_999), TooDeep},
		{"10,000 open ones", repeat("(", 10_000), TooDeep},
		{"10,000 closed ones", repeat(")", 9_999), BadSyntax},
		{"1,100 terms", nested(deep["sum"], 1_100), TooDeep},
		{"4,000 casts", nested(deep["cast"], 4_000), TooDeep},
		{"2,000 unions across commas", nested(deep["union"], 1_100), TooDeep},
		{"1,500 values", append(wide("INSERT INTO t VALUES (1", ",1", 1_500), ')'), None},
		{"1,000 rows", wide("INSERT INTO t VALUES (1,-1,'a')", ",(1,-1,'a')", 1_000), None},
		{"400 conditions", wide("SELECT 1 FROM t WHERE a.b = 1", " AND a.b = 1", 400), None},
		{"100 joins", wide("SELECT 1 FROM a", " JOIN b AS bb ON bb.x = a.y", 100), None},
		{"unterminated string", []byte("SELECT 'abc"), BadLexeme},
		{"unterminated comment", repeat("/*", 100_000), BadLexeme},
		{"unterminated dollars", wide("SELECT $a$", "$", 100_000), BadLexeme},
		{"a zero byte", []byte("SELECT 1\x00; DROP TABLE t"), BadLexeme},
		{"lone bytes", []byte("SELECT '\xff\xfe' FROM t\xe9"), None},
	} {
		if got := Parse(c.sql, Syntax{}).Problem; got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestDollarsAreLinear checks texts in which each "$a" might begin a string, whose end is then searched.
func TestDollarsAreLinear(t *testing.T) {
	var b strings.Builder
	b.WriteString("SELECT ")
	for i := range 4_000 {
		fmt.Fprintf(&b, "$t%d$ ", i)
	}
	if got := Parse([]byte(b.String()), Syntax{}).Problem; got != BadLexeme {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	for _, shape := range deep {
		f.Add(nested(shape, 5), false)
		f.Add(nested(shape, 300), true)
	}
	for _, seed := range []string{
		"SET a TO 'b'; SELECT set_config('a', $1, false) FROM t", "SELECT '\xe9\\'' FROM \"\xff\"", "DECLARE c CURSOR FOR SELECT 1; EXPLAIN ANALYZE EXECUTE p",
		"SET TRANSACTION SNAPSHOT 'x'; COPY (SELECT 1) TO STDOUT", "WITH RECURSIVE a AS (SELECT 1) TABLE a", "SET TIME ZONE INTERVAL '1'", "DROP TABLE a, b.c",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, sql []byte, escapes bool) {
		script := Parse(sql, Syntax{BackslashEscapes: escapes})
		if script.Text != string(sql) || script.Unknown() && len(script.Statements) > 0 {
			t.Fatalf("%q: got %+v", sql, script)
		}
		describe(script)
		for _, st := range script.Statements {
			if st.Offset < 0 || st.Length <= 0 || st.Offset+st.Length > len(sql) {
				t.Fatalf("%q: a statement at %d, with length %d", sql, st.Offset, st.Length)
			}
		}
		if !script.Unknown() && !escapes {
			checkDepth(t, sql)
		}
	})
}
