package admin

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgherd/proxy/config"
	"pgherd/proxy/wire"
)

// configured are the commands on a configuration.
func configured(t *testing.T) *Commands {
	t.Helper()
	text := `backend_hostname0 = db0
backend_hostname1 = db1
backend_weight1 = 2.5
hostname0 = peer0
heartbeat_hostname0 = 10.0.0.9
health_check_password = 'hush hush'
health_check_period1 = 30
client_idle_limit = 90
query_timeout = 20
sr_check_password = 'hush hush'
`
	open := func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	c, _, err := config.Parse(open, "/etc/pgpool.conf", config.CommandLine{})
	if err != nil {
		t.Fatal(err)
	}
	return &Commands{Config: func() *config.Config { return c }}
}

// orderRows say what each text does in a session that has set values. The values after it are written as
// a=b, a result as column: value, and an error as its code.
var orderRows = []struct{ sql, has, want, tag string }{
	{"PGPOOL SHOW port", "", "port: 9999", "SELECT 1"},
	{" pgpool\tshow  Client_Idle_Limit ; ", "", "client_idle_limit: 90s", "SELECT 1"},
	{"pgpool show client_idle_limit", "client_idle_limit=5min", "client_idle_limit: 5min", "SELECT 1"},
	{"pgpool show delegate_IP", "", "delegate_ip:", "SELECT 1"},
	{"pgpool show sr_check_password", "", "sr_check_password: *****", "SELECT 1"},
	{"pgpool show backend_hostname1", "", "backend_hostname1: db1", "SELECT 1"},
	{"pgpool show no_such", "", "42704", ""},
	{"pgpool show backend_hostname200", "", "42704", ""},

	{"PGPOOL SET client_idle_limit = 5", "", "client_idle_limit=5", "SET"},
	{"pgpool set CLIENT_IDLE_LIMIT=5", "", "client_idle_limit=5", "SET"},
	{"pgpool set client_idle_limit TO '2 min';", "query_timeout=1", "client_idle_limit=2 min query_timeout=1", "SET"},
	{"pgpool set client_idle_limit to 5", "client_idle_limit=9", "client_idle_limit=5", "SET"},
	{"pgpool set client_idle_limit to default", "client_idle_limit=9 query_timeout=1", "query_timeout=1", "SET"},
	{"pgpool set log_error_verbosity to DEFAULT", "log_error_verbosity=terse", "", "SET"},
	{"pgpool set log_error_verbosity to 'default'", "", "log_error_verbosity=default WARNING", "SET"},
	{"pgpool set log_min_messages = debug1", "", "log_min_messages=debug1 WARNING", "SET"},
	{"pgpool set log_statement = on", "", "log_statement=on", "SET"},
	{"pgpool set client_idle_limit = soon", "query_timeout=1", "22023", ""},
	{"pgpool set client_idle_limit = -1", "", "22023", ""},
	{"pgpool set client_idle_limit = ''", "", "22023", ""},
	{"pgpool set client_idle_limit = 'it''s'", "", "22023", ""},
	{"pgpool set port = 5", "", "55P02", ""},
	{"pgpool set max_client_conn = 5", "", "55P02", ""},
	{"pgpool set reset_query_list = ''", "", "55P02", ""},
	{"pgpool set backend_weight0 = 0", "", "55P02", ""},
	{"pgpool set no_such = 5", "", "42704", ""},
	{"pgpool set all = 5", "", "42704", ""},

	{"PGPOOL RESET client_idle_limit", "client_idle_limit=5 query_timeout=1", "query_timeout=1", "SET"},
	{"pgpool reset client_idle_limit", "", "", "SET"},
	{"pgpool reset ALL;", "client_idle_limit=5 query_timeout=1", "", "RESET"},
	{"pgpool reset port", "", "55P02", ""},
	{"pgpool reset backend", "", "42704", ""},

	{"pgpool", "", "42601", ""},
	{"pgpool show", "", "42601", ""},
	{"pgpool show port pcp_port", "", "42601", ""},
	{"pgpool show port -- a comment", "", "42601", ""},
	{"pgpool set client_idle_limit", "", "42601", ""},
	{"pgpool set client_idle_limit 5", "", "42601", ""},
	{"pgpool set client_idle_limit = ", "", "42601", ""},
	{"pgpool set client_idle_limit = 5 6", "", "42601", ""},
	{"pgpool set client_idle_limit = 5; select 1", "", "42601", ""},
	{"pgpool set client_idle_limit = 'a' b'", "", "42601", ""},
	{"pgpool set client_idle_limit = '", "", "42601", ""},
	{"pgpool set client_idle_limit = '''", "", "42601", ""},
	{"pgpool set cache delete 'select 1'", "", "42601", ""},
	{"pgpool set = 5", "", "42601", ""},
	{"pgpool drop port", "", "42601", ""},
}

func TestPgpool(t *testing.T) {
	commands := configured(t)
	for _, row := range orderRows {
		order, ok := commands.FindOrder([]byte(row.sql))
		if !ok {
			t.Errorf("%q is not found", row.sql)
			continue
		}
		has := values(row.has)
		out, err := order.Run(has)
		if got := told(order, out, err); got != row.want {
			t.Errorf("%q: got %q, want %q", row.sql, got, row.want)
		}
		if tag := order.Tag(len(out.Rows)); err == nil && tag != row.tag {
			t.Errorf("%q completes with %q", row.sql, tag)
		}
		if !maps.Equal(has, values(row.has)) {
			t.Errorf("%q has changed the values that were passed to it", row.sql)
		}
	}
}

func values(text string) map[string]string {
	m := map[string]string{}
	for _, pair := range strings.Fields(text) {
		name, value, _ := strings.Cut(pair, "=")
		m[name] = value
	}
	return m
}

func told(order *Order, out Outcome, err error) string {
	if err != nil {
		fault, ok := errors.AsType[*wire.Fault](err)
		if !ok || strings.Contains(fault.Message+fault.Hint, "hush") {
			return "no fault, or one that tells a secret"
		}
		return fault.Code
	}
	var words []string
	if len(order.Columns()) > 0 {
		for _, r := range out.Rows {
			words = append(words, order.Columns()[0]+": "+r[0])
		}
		return strings.TrimSpace(strings.Join(words, "\n"))
	}
	for _, name := range slices.Sorted(maps.Keys(out.Values)) {
		words = append(words, name+"="+out.Values[name])
	}
	if out.Warning != nil {
		words = append(words, out.Warning.Severity)
	}
	return strings.Join(words, " ")
}

// TestPgpoolShowGroups compares groups, and parameters of several numbers, with
// testdata/pgpool_show_NAME.golden.
func TestPgpoolShowGroups(t *testing.T) {
	for _, name := range []string{"backend", "watchdog", "heartbeat", "health_check", "backend_weight"} {
		order, _ := configured(t).FindOrder([]byte("PGPOOL SHOW " + name))
		out, err := order.Run(nil)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "pgpool_show_"+name, written(t, order.Columns(), out.Rows))
	}
}

// TestPgpoolShowAll checks that the groups come first, that each parameter is there once, and that
// no secret is (I9).
func TestPgpoolShowAll(t *testing.T) {
	commands := configured(t)
	order, _ := commands.FindOrder([]byte("PGPOOL SHOW all"))
	out, err := order.Run(values("client_idle_limit=7"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range out.Rows {
		names = append(names, r[0])
		if strings.Contains(strings.Join(r, " "), "hush") {
			t.Errorf("the row of %s shows the secret", r[0])
		}
	}
	if n := len(commands.Config().Settings()); len(names) != n || names[0] != "backend_hostname0" {
		t.Errorf("got %d rows of %d, the first one is %s", len(names), n, names[0])
	}
	at := func(name string) int { return slices.Index(names, name) }
	for _, pair := range [][2]string{{"backend_weight0", "backend_hostname1"}, {"backend_weight1", "hostname0"},
		{"hostname0", "heartbeat_hostname0"}, {"heartbeat_hostname0", "health_check_period0"}, {"health_check_period1", "port"}} {
		if at(pair[0]) < 0 || at(pair[0]) > at(pair[1]) {
			t.Errorf("the row of %s does not precede that of %s", pair[0], pair[1])
		}
	}
	if i := at("client_idle_limit"); i < 0 || out.Rows[i][1] != "7s" {
		t.Error("the row of client_idle_limit does not have the session's own value")
	}
}

// TestGroupsAreKnown checks that each parameter of a group exists and has a number.
func TestGroupsAreKnown(t *testing.T) {
	for _, g := range groups {
		for _, name := range append([]string{g.name, g.also}, g.params...) {
			p, _, ok := config.Named(name)
			if member := slices.Contains(g.params, name); ok != member || member && !p.Indexed() {
				t.Errorf("%s is not a member of group %s", name, g.name)
			}
		}
	}
}

func TestFindOrderLeavesSQL(t *testing.T) {
	for _, sql := range []string{"", "pgpools", "pgpool_adm", "select pgpool", "-- pgpool\nshow port", `"pgpool" show port`,
		"show pool_nodes", strings.Repeat(" ", longest) + "pgpool show port"} {
		text := []byte(sql)
		if _, ok := (&Commands{}).FindOrder(text); ok {
			t.Errorf("%q is found as a command of pgherd's", sql)
		}
		if n := testing.AllocsPerRun(100, func() { (&Commands{}).FindOrder(text) }); n != 0 {
			t.Errorf("%q: got %v allocations, want none", sql, n)
		}
	}
}

// FuzzOrder checks that every text gets an answer, and that a text sets only what the table of parameters allows a session
// to set.
func FuzzOrder(f *testing.F) {
	for _, sql := range []string{"show all", "set a = 'b'", "set client_idle_limit to 5;", "reset all", "reset '"} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		commands := configured(t)
		order, ok := commands.FindOrder([]byte("pgpool " + sql))
		if !ok {
			return
		}
		out, err := order.Run(nil)
		if err != nil {
			return
		}
		if _, err := commands.Config().With(out.Values); err != nil {
			t.Fatalf("%q is found, but its run is refused: %v", sql, err)
		}
		for _, row := range out.Rows {
			if len(row) != len(order.Columns()) {
				t.Fatalf("%q: a row has %d columns", sql, len(row))
			}
		}
	})
}
