package route

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/cel-go/interpreter"

	"pgherd/proxy/nodes"
)

func expression(t testing.TB, text string) *Expression {
	t.Helper()
	e, err := ParseExpression(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

// trio is node 0, the primary; node 1, a good standby; and node 2, a standby that is late and busy.
func trio() []Candidate {
	ms := time.Millisecond
	return []Candidate{
		{Index: 0, Role: nodes.Primary, Weight: 0.5, Active: 1, Latency: 2 * ms},
		{Index: 1, Role: nodes.Standby, Weight: 1, Latency: ms, Bytes: 1000, Delay: 20 * ms},
		{Index: 2, Role: nodes.Standby, Weight: 2, Active: 8, Latency: 9 * ms, Bytes: 1 << 20, Delay: 300 * ms},
	}
}

// TestExpression is a table for DBAs: it shows which of the three nodes an expression leaves.
func TestExpression(t *testing.T) {
	report := Client{Application: "report-7", Database: "sales", User: "alice"}
	for _, c := range []struct {
		text string
		want []int
	}{
		{`true`, []int{0, 1, 2}},
		{`false`, nil},
		{`primary`, []int{0}},
		{`!primary`, []int{1, 2}},
		{`node.role == "standby"`, []int{1, 2}},
		{`node.lag_ms < 200`, []int{0, 1}},
		{`node.lag_ms == 20`, []int{1}},
		{`node.lag_bytes <= 1000.0`, []int{0, 1}},
		{`node.weight > 0.5`, []int{1, 2}},
		{`node.weight * 2 >= 2`, []int{1, 2}},
		{`node.active / node.weight < 4`, []int{0, 1}},
		{`node.latency_ms < 3 && node.latency_ms > -1`, []int{0, 1}},
		{`node.index in [0, 2u]`, []int{0, 2}},
		{`node.index != 1`, []int{0, 2}},
		{`app.startsWith("report") && node.lag_ms < 200`, []int{0, 1}},
		{`app.startsWith("batch") || node.index == 2`, []int{2}},
		{`app.startsWith("report") ? !primary : primary`, []int{1, 2}},
		{`app.matches("^report-[0-9]+$") && !primary`, []int{1, 2}},
		{`matches(app, "^batch") || primary`, []int{0}},
		{`user in ["alice", "bob"] && database == "sales" && node.index == 1`, []int{1}},
		{`database.endsWith("es") && app.contains("port") && primary`, []int{0}},
		{`app + "/" + user == "report-7/alice" && primary`, []int{0}},
		{"// comments may be written\nprimary", []int{0}},
	} {
		e := expression(t, c.text)
		var got []int
		for _, candidate := range trio() {
			yes, err := e.Ask(report, candidate)
			if err != nil {
				t.Errorf("%s: got error %v", c.text, err)
			}
			if yes {
				got = append(got, candidate.Index)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s leaves %v, want %v", c.text, got, c.want)
		}
	}
}

// TestExpressionChooses checks that weights, preferences and delays apply to the nodes that are
// left, and that the reason says so.
func TestExpressionChooses(t *testing.T) {
	prefer, err := ParsePreferences("report.*:standby")
	if err != nil {
		t.Fatal(err)
	}
	report := Client{Application: "report-7"}
	const leaves = ", of those that balance_expression leaves"
	for name, c := range map[string]struct {
		text    string
		balance Balance
		shares  []float64 // of nodes 0, 1 and 2
		why     string    // the reason of the reads with the smallest share
	}{
		"all, by weight":             {`true`, Balance{}, []float64{0.5 / 3.5, 1 / 3.5, 2 / 3.5}, "by weight" + leaves},
		"two, by weight":             {`node.index != 1`, Balance{}, []float64{0.2, 0, 0.8}, "by weight" + leaves},
		"one":                        {`node.active == 8`, Balance{}, []float64{0, 0, 1}, "by weight" + leaves},
		"none":                       {`node.lag_ms < 0`, Balance{}, []float64{1, 0, 0}, "balance_expression leaves no node"},
		"of the preferred":           {`node.lag_ms < 200`, Balance{Applications: prefer}, []float64{0, 1, 0}, "preferred for the application" + leaves},
		"no preferred node is left":  {`primary`, Balance{Applications: prefer}, []float64{1, 0, 0}, "balance_expression leaves no node"},
		"the node is too far behind": {`!primary && node.index == 2`, Balance{DelayBytes: 5000}, []float64{1, 0, 0}, "node 2 is too far behind"},
		"the smallest delay":         {`node.index == 2 || node.index == 1`, Balance{DelayBytes: 5000, PreferLower: true}, []float64{0, 1, 0}, "by weight" + leaves},
		"all are too far behind":     {`node.index == 2`, Balance{DelayBytes: 5000, PreferLower: true}, []float64{1, 0, 0}, "node 2 is too far behind, and so are all"},
	} {
		t.Run(name, func(t *testing.T) {
			c.balance.Policy, c.balance.Expression = byWeight, expression(t, c.text)
			const reads = 200 // with evenly spread chances
			got := make([]float64, 3)
			for i := range reads {
				got[Choose(trio(), report, &c.balance, float64(i)/reads, 0).Index] += 1. / reads
			}
			for i := range c.shares {
				if math.Abs(got[i]-c.shares[i]) > 0.03 {
					t.Fatalf("got %.3f, want %.3f", got, c.shares)
				}
			}
			if why := Choose(trio(), report, &c.balance, 0, 0).Why; why != c.why {
				t.Errorf("got %q, want %q", why, c.why)
			}
		})
	}
}

// TestExpressionForgets checks that the expression is evaluated again for candidates that are used
// again.
func TestExpressionForgets(t *testing.T) {
	all := trio()
	for i, text := range []string{"node.index == 0", "node.index == 1", "node.index == 2"} {
		b := Balance{Policy: byWeight, Expression: expression(t, text)}
		if c := Choose(all, Client{}, &b, 0.5, 0); c.Index != i {
			t.Errorf("%s: got %+v", text, c)
		}
	}
}

func TestBadExpressions(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "it is empty",
		" \n":                                    "it is empty",
		`node.lag_ms <`:                          "line 1, column 14: Syntax error",
		`app = "x"`:                              "column 5: Syntax error",
		`"` + strings.Repeat("x", maxExpression): "1001 bytes, 1000 is the limit",
		`node.lag_ms`:                            "it is double, not bool",
		`app`:                                    "it is string, not bool",
		`app < 3`:                                "no matching overload for '_<_' applied to '(string, double)'",
		`aplication == "x"`:                      "'aplication' (in container ''); there are app, database, user, primary, node.index, node.role, node.weight, node.lag_bytes, node.lag_ms, node.active, node.latency_ms and startsWith, endsWith, contains, matches",
		"true &&\n  node.lag < 3":                "line 2, column 3: undeclared reference to 'node'",
		`now() > 3`:                              "undeclared reference to 'now'",
		`timestamp("x") == timestamp("y")`:       "undeclared reference to 'timestamp'",
		`[1, 2].exists(x, x == node.index)`:      "undeclared reference to 'exists'",
		`[1, 2].all(x, true)`:                    "undeclared reference to 'all'",
		`has(node.role)`:                         "undeclared reference to 'has'",
		`[true][0]`:                              "undeclared reference to '_[_]'",
		`{"a": 1} == {"a": 1}`:                   "it has a map, an object or a loop",
		`google.protobuf.BoolValue{value: true}`: "it has a map, an object or a loop",
		`app.matches(user)`:                      "the pattern of matches has to be a literal",
		`matches("x", app + "y")`:                "the pattern of matches has to be a literal",
		`app.matches("(")`:                       "missing closing )",
		`app.matches("(x{50}){20}")`:             "takes 1042 steps, 100 is the limit",
		strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100):                                             "recursion limit",
		`app.matches("a") || ` + strings.Repeat(`app.matches("`+strings.Repeat("x", 90)+`") || `, 8) + "primary": "it may cost 1305, 200 is the limit",
	} {
		e, err := ParseExpression(text)
		if err == nil || e != nil || !strings.HasPrefix(err.Error(), "parse expression: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50q: got error %v, want %s", text, err, want)
		}
	}
}

// TestExpressionFails checks that a node is left out if the evaluation costs too much at run time.
func TestExpressionFails(t *testing.T) {
	e, err := compile(`primary || (app.contains("a") && app.contains("b"))`, 4)
	if err != nil {
		t.Fatal(err)
	}
	client := Client{Application: "ab"}
	all := trio()
	if yes, err := e.Ask(client, all[0]); !yes || err != nil {
		t.Error("the expression returned", yes, err)
	}
	yes, err := e.Ask(client, all[1])
	var cancelled interpreter.EvalCancelledError
	if yes || !errors.As(err, &cancelled) || cancelled.Cause != interpreter.CostLimitExceeded || !strings.Contains(err.Error(), "node 1") {
		t.Error("the expression returned", yes, err)
	}
	b := &Balance{Policy: byWeight, Expression: e}
	if c := Choose(all, client, b, 0.9, 0); c != (Choice{0, "by weight, of those that balance_expression leaves; it failed for some"}) {
		t.Errorf("got %+v", c)
	}
	if c := Choose(trio()[1:], client, b, 0.9, 0); c != (Choice{-1, "balance_expression leaves no node; it failed for some, and there is no primary"}) {
		t.Errorf("got %+v", c)
	}
}

// TestLongNames checks that a client cannot make an expression cost more than the limit.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("é", 100_000)
	client := Client{Application: long, Database: long, User: "x" + long}
	e := expression(t, `app == database && app.matches("^é+$") && user.endsWith("é") && !user.contains("\ufffd") && !(app + user).startsWith("x")`)
	if yes, err := e.Ask(client, trio()[0]); !yes || err != nil {
		t.Error("the expression returned", yes, err)
	}
	for name, want := range map[string]int{long: 62, "x" + long: 63, long[:63]: 63, strings.Repeat("\x80", 70): 59} {
		if got := cut(name); len(got) != want {
			t.Errorf("%.6q: got %d bytes, want %d", name, len(got), want)
		}
	}
}

// TestExpressionOfMany checks an expression that many goroutines use at the same time.
func TestExpressionOfMany(t *testing.T) {
	b := &Balance{Policy: byWeight, Expression: expression(t, `app == "even" ? node.index == 2 : node.index == 1 && app.matches("^o.d$")`)}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			client, want := Client{Application: "odd"}, 1
			if i%2 == 0 {
				client, want = Client{Application: "even"}, 2
			}
			for range 500 {
				if c := Choose(trio(), client, b, 0.5, 0); c.Index != want {
					t.Errorf("got %+v, want node %d", c, want)
					return
				}
			}
		})
	}
	wait.Wait()
}

// FuzzExpression checks that any text is an error, or an expression that can be evaluated for any
// client.
func FuzzExpression(f *testing.F) {
	for _, text := range []string{`app.startsWith("report") && node.lag_ms < 200`, `node.index in [1, 2u, -3]`, `app.matches("a+") ? primary : !primary`,
		`1 + 2 * 3 - 4 / 5 == 6.0`, `((((`, `[[1]] == [[1.5]]`, `{}`, `x{y: 1}`, `b"a" == b'\xff'`, `null == null`, `0x7fffffffffffffff > 1e308`,
		`"é" + r"\d" == user`, `a.b.c(d)[e]`, `true//`, "`a`", `.app == ''`, `type(1) == int`, `app.matches("(a{9}){9}")`, "'''\n'''"} {
		f.Add(text, "report")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		e, err := ParseExpression(text)
		if err != nil {
			return
		}
		client := Client{Application: name, Database: name, User: name}
		for _, c := range trio() {
			if _, err := e.Ask(client, c); err != nil {
				t.Errorf("%q of %q: the estimate was within the limit: %v", text, name, err)
			}
		}
	})
}

func BenchmarkExpression(b *testing.B) {
	client := Client{Application: "report-7", Database: "sales", User: "alice"}
	for name, text := range map[string]string{"one": `node.lag_ms < 200`, "example": `app.startsWith("report") && node.lag_ms < 200`,
		"long":   `(app.matches("^report-[0-9]+$") || user in ["alice", "bob"]) && !primary && node.lag_ms < 500 && node.active / node.weight < 10`,
		"costly": strings.TrimSuffix(strings.Repeat(`!app.matches("(a|r|e|p|o|t)*x{60}$") && `, 5), "&& ")} {
		b.Run(name, func(b *testing.B) {
			e, c := expression(b, text), trio()[1]
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Ask(client, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkChooseByExpression(b *testing.B) {
	client := Client{Application: "report-7"}
	balance := &Balance{Policy: byWeight, Expression: expression(b, `app.startsWith("report") && node.lag_ms < 200`)}
	all := trio()
	b.ReportAllocs()
	for b.Loop() {
		Choose(all, client, balance, 0.7, 0)
	}
}
