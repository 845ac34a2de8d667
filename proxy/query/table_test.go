package query

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var update = flag.Bool("update", false, "write what Parse says into testdata/*.txt, to be reviewed")

const indent = "    "

type row struct{ sql, want string }

// readTable reads a file of testdata: a statement on one line, and what is said of it on the next, indented. Lines
// that begin with #, and empty lines, are kept.
func readTable(t *testing.T, path string) (lines []string, rows map[int]row) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows = map[int]row{}
	for line := range strings.SplitSeq(strings.TrimRight(string(text), "\n"), "\n") {
		want, isWant := strings.CutPrefix(line, indent)
		if isWant && len(lines) > 0 {
			last := len(lines) - 1
			rows[last] = row{rows[last].sql, want}
			continue
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			rows[len(lines)] = row{sql: line}
		}
		lines = append(lines, line)
	}
	return lines, rows
}

func tables(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no tables found", err)
	}
	return paths
}

func TestTables(t *testing.T) {
	total := 0
	for _, path := range tables(t) {
		lines, rows := readTable(t, path)
		total += len(rows)
		if *update {
			writeTable(t, path, lines, rows)
			continue
		}
		for _, r := range rows {
			if got := describe(Parse([]byte(r.sql), Syntax{})); got != r.want {
				t.Errorf("%s: %s\n got %s\nwant %s", path, r.sql, got, r.want)
			}
		}
	}
	if total < 250 {
		t.Errorf("testdata has %d statements, want at least 250", total)
	}
}

func writeTable(t *testing.T, path string, lines []string, rows map[int]row) {
	t.Helper()
	var b strings.Builder
	for i, line := range lines {
		b.WriteString(line + "\n")
		if r, ok := rows[i]; ok {
			b.WriteString(indent + describe(Parse([]byte(r.sql), Syntax{})) + "\n")
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// notAlone are nodes whose names end as those of statements, but which the parser never returns as a statement.
var notAlone = map[string]string{
	"RawStmt":             "the wrapping of every statement",
	"SetOperationStmt":    "made by analysis",
	"ReplicaIdentityStmt": "a part of ALTER TABLE",
	"ReturnStmt":          "only within a function's body",
	"PLAssignStmt":        "only in PL/pgSQL",
}

// statementNodes are the grammar's node types that are statements.
func statementNodes() map[string]bool {
	names := map[string]bool{}
	oneof := (&pg.Node{}).ProtoReflect().Descriptor().Oneofs().Get(0)
	for i := range oneof.Fields().Len() {
		if m := oneof.Fields().Get(i).Message(); m != nil && strings.HasSuffix(string(m.Name()), "Stmt") {
			names[string(m.Name())] = true
		}
	}
	return names
}

func TestEveryStatementNodeHasARule(t *testing.T) {
	nodes := statementNodes()
	for name := range nodes {
		_, ruled := rules[protoreflect.Name(name)]
		if _, excused := notAlone[name]; ruled == excused {
			t.Errorf("node %s: has a rule: %v, is in notAlone: %v; want one of them", name, ruled, excused)
		}
	}
	for name := range rules {
		if !nodes[string(name)] {
			t.Errorf("the grammar has no node %s, for which there is a rule", name)
		}
	}
}

func TestEveryStatementNodeHasARow(t *testing.T) {
	seen := map[string]bool{}
	for _, path := range tables(t) {
		_, rows := readTable(t, path)
		for _, r := range rows {
			tree, err := pg.Parse(r.sql)
			if err != nil {
				continue
			}
			for _, raw := range tree.Stmts {
				m := raw.Stmt.ProtoReflect()
				seen[string(m.Get(m.WhichOneof(m.Descriptor().Oneofs().Get(0))).Message().Descriptor().Name())] = true
			}
		}
	}
	for name := range statementNodes() {
		if _, excused := notAlone[name]; !seen[name] && !excused {
			t.Errorf("testdata has no row for %s", name)
		}
	}
}
