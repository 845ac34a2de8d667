package command

import (
	"strings"
	"testing"
)

// TestMayHold checks the quick look for several commands in a query string.
func TestMayHold(t *testing.T) {
	for sql, want := range map[string]bool{
		"": false, ";": false, "select 1": false, "show pool_nodes; ;\n": false, "select 1; select 2": false,
		"a;pool": true, "PgPool show a; b": true, "a;\n;Show POOL_x;": true, "a; poo": false, "a; ppool": true,
	} {
		text := []byte(sql)
		if mayHold(text) != want {
			t.Errorf("%q: found: %v", sql, !want)
		}
		if n := testing.AllocsPerRun(100, func() { mayHold(text) }); n != 0 {
			t.Errorf("%q: got %v allocations, want none", sql, n)
		}
	}
}

func BenchmarkMayHold(b *testing.B) {
	for name, sql := range map[string]string{
		"one statement": "UPDATE pgbench_accounts SET abalance = abalance + 1234 WHERE aid = 4321",
		"a long script": strings.Repeat("INSERT INTO people VALUES (1, 'somebody');\n", 1500),
	} {
		b.Run(name, func(b *testing.B) {
			for text := []byte(sql); b.Loop(); {
				mayHold(text)
			}
		})
	}
}

func TestExplained(t *testing.T) {
	for sql, want := range map[string]string{
		"EXPLAIN ROUTE SELECT 1":         "SELECT 1",
		" explain\n route /* a */ x":     "/* a */ x",
		"explain route/*node:1*/ x":      "/*node:1*/ x",
		"explain route":                  "",
		"explain route;":                 ";",
		"explain route verbose select":   "verbose: select",
		"EXPLAIN ROUTE Verbose\n/*a*/ x": "verbose: /*a*/ x",
		"explain route verbose":          "verbose: ",
		"explain route verbosely":        "verbosely",
		"explain routes select 1":        "none",
		"explain select 1":               "none",
		"explainroute select 1":          "none",
		"/* a */ explain route":          "none",
		"explain":                        "none",
		"":                               "none",
		"explain route select 1; drop ":  "select 1; drop ",
	} {
		got, verbose, ok := Explained([]byte(sql))
		switch {
		case !ok:
			got = []byte("none")
		case verbose:
			got = append([]byte("verbose: "), got...)
		}
		if string(got) != want {
			t.Errorf("%q explains %q, want %q", sql, got, want)
		}
	}
}
