package proxy

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/route"
	"pgherd/proxy/session"
)

// routed is a configuration of two nodes between which reads are balanced.
func routed(change func(b *config.Balance)) *config.Config {
	c := &config.Config{Nodes: make([]config.Node, 2), Balance: config.Balance{On: true, Policy: "weight", OnWrite: "transaction",
		Consistency: "session", ConsistencyWait: time.Second}}
	change(&c.Balance)
	return c
}

// readRouting is routingOf, with its error.
func readRouting(c *config.Config) (*session.Routing, error) {
	f := &faults{config: c}
	return routingOf(c, f), f.err()
}

func TestRoutingOf(t *testing.T) {
	r, err := readRouting(routed(func(b *config.Balance) {
		b.PerStatement, b.Comments, b.PreferLower = true, true, true
		b.OnWrite, b.Policy, b.DelayBytes, b.DelayTime = "always", "least_active", 7, time.Minute
		b.Expression = "node.lag_ms < 200"
		b.Applications, b.Databases, b.Users = "psql:standby", "a:1,b:2", "bob:primary(0.5)"
	}))
	if err != nil {
		t.Fatal(err)
	}
	x := &r.Balance
	if !r.PerStatement || !r.Rules.Comments || !r.Rules.Balance || r.Rules.OnWrite != route.Always || r.ConsistencyWait != time.Second ||
		x.Policy.Why != route.Policies["least_active"].Why || x.Expression == nil || x.DelayBytes != 7 || x.DelayTime != time.Minute || !x.PreferLower ||
		len(x.Applications) != 1 || len(x.Databases) != 2 || len(x.Users) != 1 || x.Users[0].Ratio != 0.5 {
		t.Errorf("the routing is %+v", r)
	}
}

// TestRoutingWords checks that each word of the configuration has its meaning.
func TestRoutingWords(t *testing.T) {
	for word, want := range map[string]route.OnWrite{"off": route.Off, "transaction": route.Transaction,
		"trans_transaction": route.TransTransaction, "always": route.Always, "dml_adaptive": route.Transaction, "dml_adaptive_global": route.Transaction} {
		if r, err := readRouting(routed(func(b *config.Balance) { b.OnWrite = word })); err != nil || r.Rules.OnWrite != want {
			t.Errorf("%s: got %v, error %v", word, r, err)
		}
	}
	for word, want := range map[string]route.Consistency{"eventual": route.Eventual, "session": route.Own, "global": route.Global} {
		if r, err := readRouting(routed(func(b *config.Balance) { b.Consistency = word })); err != nil || r.Consistency != want {
			t.Errorf("%s: got %v, error %v", word, r, err)
		}
	}
	global := func(b *config.Balance) { b.OnWrite, b.Consistency = "dml_adaptive_global", "eventual" }
	if r, err := readRouting(routed(global)); err != nil || r.Consistency != route.Global {
		t.Errorf("dml_adaptive_global: got %v, error %v", r, err)
	}
	for _, p := range config.Params() { // every word of the table has a meaning
		for _, word := range p.Options {
			_, isPolicy := route.Policies[word]
			_, isOnWrite := onWrite[word]
			if p.Name == "load_balance_policy" && !isPolicy || p.Name == "disable_load_balance_on_write" && !isOnWrite {
				t.Errorf("%s: the word %s has no meaning", p.Name, word)
			}
		}
	}
}

// TestRoutingPatterns checks that patterns of names match whole names, and those of statements any
// part, in upper and lower case.
func TestRoutingPatterns(t *testing.T) {
	r, err := readRouting(routed(func(b *config.Balance) {
		b.ReadFunctions, b.WriteFunctions, b.PrimaryPatterns = []string{"get|get_all", "x"}, []string{`app\.set_.*`}, []string{"from a.*b", "t2"}
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		text string
		got  bool
		want bool
	}{
		{"the longer of two alternatives", r.Rules.ReadFunctions[0].MatchString("get_all"), true},
		{"more than the name", r.Rules.ReadFunctions[0].MatchString("get_alls"), false},
		{"case", r.Rules.WriteFunctions[0].MatchString("App.Set_x"), true},
		{"a statement of two lines", r.Rules.PrimaryPatterns[0].MatchString("SELECT 1 FROM A\n JOIN B"), true},
		{"the second pattern", r.Rules.PrimaryPatterns[1].MatchString("select * from t2 where"), true},
		{"another", r.Rules.PrimaryPatterns[1].MatchString("select * from t1"), false},
	} {
		if row.got != row.want {
			t.Errorf("%s: matched: %v", row.text, row.got)
		}
	}
}

// TestNoRouting checks that nothing is routed with one node, or without load_balance_mode.
func TestNoRouting(t *testing.T) {
	one := routed(func(b *config.Balance) { b.Databases = "a:0" })
	one.Nodes = one.Nodes[:1]
	off := routed(func(b *config.Balance) { b.On, b.Users = false, "a:0" })
	for _, c := range []*config.Config{one, off} {
		if r, err := readRouting(c); r != nil || err != nil {
			t.Errorf("got %+v, error %v", r, err)
		}
	}
}

func TestBadRouting(t *testing.T) {
	for want, change := range map[string]func(b *config.Balance){
		`/pgpool.conf: app_name_redirect_preference_list: read preference "psql": it is not name:node or name:node(ratio)`: func(b *config.Balance) { b.Applications = "psql" },
		`/pgpool.conf: database_redirect_preference_list: read preference "(:1"`:                                           func(b *config.Balance) { b.Databases = "(:1" },
		`/pgpool.conf: user_redirect_preference_list: read preference "a:1(7)": "7" is not a ratio from 0 to 1`:            func(b *config.Balance) { b.Users = "a:1(7)" },
		"/pgpool.conf: balance_expression: parse expression: ":                                                             func(b *config.Balance) { b.Expression = "1" },
	} {
		for _, nodes := range []int{1, 2} { // one node is checked, too, because another may be added
			c := routed(change)
			c.File, c.Nodes = "/pgpool.conf", c.Nodes[:nodes]
			if _, err := readRouting(c); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%d nodes: got %v, want %s", nodes, err, want)
			}
		}
	}
}

// warn returns what the operator is told about c.
func warn(t *testing.T, log *strings.Builder, c *config.Config) {
	t.Helper()
	r, err := readRouting(c)
	if err != nil {
		t.Fatal(err)
	}
	warnOfRouting(slog.New(slog.NewTextHandler(log, nil)), c, r)
}

// TestPreferenceForNobody checks that a preference for a node that is not configured is ignored,
// and that the log says so.
func TestPreferenceForNobody(t *testing.T) {
	c := routed(func(b *config.Balance) { b.Applications, b.Users = "psql:1,psql:7", "bob:primary" })
	c.Nodes[1].Index = 1
	var log strings.Builder
	c.Balance.Consistency = "eventual"
	warn(t, &log, c)
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "node=7") {
		t.Errorf("the operator is told %q", got)
	}
}

func TestWarnOfRouting(t *testing.T) {
	for _, row := range []struct{ onWrite, consistency, user, want string }{
		{"dml_adaptive", "eventual", "", "disable_load_balance_on_write=dml_adaptive read_consistency=eventual"},
		{"dml_adaptive_global", "session", "sr", "disable_load_balance_on_write=dml_adaptive_global read_consistency=global"},
		{"always", "global", "", "without sr_check_user"},
		{"always", "session", "sr", ""},
		{"always", "eventual", "", ""},
	} {
		var log strings.Builder
		c := routed(func(b *config.Balance) { b.OnWrite, b.Consistency = row.onWrite, row.consistency })
		c.Streaming.User, c.Streaming.Period = row.user, time.Second
		warn(t, &log, c)
		if got := log.String(); !strings.Contains(got, row.want) || (got == "") != (row.want == "") || strings.Count(got, "\n") > 1 {
			t.Errorf("%+v: the operator is told %s", row, got)
		}
	}
}
