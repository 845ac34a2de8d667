package proxy

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/config"
	"pgherd/proxy/session"
)

// another returns a value of p other than its default.
func another(p *config.Param) string {
	switch p.Kind {
	case config.Bool:
		return map[string]string{"on": "off", "off": "on"}[p.Default]
	case config.Enum:
		return p.Options[(slices.Index(p.Options, p.Default)+1)%len(p.Options)]
	}
	return "77"
}

// differing returns the names of the fields that differ, except functions.
func differing(a, b *session.Settings) (names []string) {
	x, y := reflect.ValueOf(*a), reflect.ValueOf(*b)
	for i := range x.NumField() {
		if x.Field(i).Kind() != reflect.Func && !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			names = append(names, x.Type().Field(i).Name)
		}
	}
	return names
}

// TestPersonal checks that a session can set all parameters that the manual says it can, and that nothing else changes with
// them.
func TestPersonal(t *testing.T) {
	open := func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("backend_hostname0 = db0\nbackend_hostname1 = db1\n")), nil
	}
	c, _, err := config.Parse(open, "/pgpool.conf", config.CommandLine{})
	if err != nil {
		t.Fatal(err)
	}
	routing, err := readRouting(c)
	if err != nil || routing == nil {
		t.Fatal("statements are not routed", err)
	}
	set, tried := (&Proxy{}).workerSettings(c, routing).Session, 0
	for _, p := range config.Params() {
		if !p.ActsOnSessions() {
			continue
		}
		tried++
		own, err := set.Override(map[string]string{p.Name: another(p)})
		if err != nil {
			t.Error(err)
			continue
		}
		if fields := differing(set, own); len(fields) != 1 {
			t.Errorf("%s = %s changes %v", p.Name, another(p), fields)
		}
		if back, err := own.Override(nil); back != set || err != nil {
			t.Errorf("%s is not among the parameters, but changes %v", p.Name, err)
		}
	}
	if tried < 6 {
		t.Errorf("only %d parameters", tried)
	}
	if _, err := set.Override(map[string]string{"port": "1"}); err == nil {
		t.Error("a session can set port")
	}
}

// TestPgpool sends these commands through all of pgherd, in both protocols, before and after a
// reload.
func TestPgpool(t *testing.T) {
	t.Parallel()
	h := herdtest.StartTLS(t, "SELECT 1")
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			testPgpool(t, h, "pool_mode = "+mode)
		})
	}
}

func testPgpool(t *testing.T, h *herd.Herd, mode string) {
	p := startProxy(t, h, map[string]string{"pool_hba.conf": "host all all all scram-sha-256\n", "pool_passwd": "postgres:TEXTpostgres\n"},
		mode, "query_timeout = 300", "query_wait_timeout = 100")
	conn, err := pgconn.Connect(t.Context(), fmt.Sprintf("host=127.0.0.1 port=%d user=postgres password=postgres dbname=app sslmode=disable", p.port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, row := range []struct{ sql, want string }{
		{"PGPOOL SHOW query_timeout", "5min"},
		{"PGPOOL SET query_timeout TO '1s'; PGPOOL SHOW query_timeout;", "1s"},
		{"SELECT pg_sleep(30)", "57014"},
		{"DISCARD ALL", ""},
		{"PGPOOL SHOW query_timeout", "1s"},
		{"PGPOOL SHOW sr_check_password", "*****"},
		{"PGPOOL SET port = 1", "55P02"},
		{"PGPOOL SET query_timeout = never", "22023"},
		{"SHOW POOL_VERSION; SELECT 1", "0A000"},
		{"PGPOOL SET query_wait_timeout = 3", ""},
		{"EXPLAIN ROUTE SELECT pg_sleep(30)", "3"}, // the number of the last step, because there is one node
		{"EXPLAIN ROUTE", "42601"},
	} {
		if got := simply(t, conn, row.sql); got != row.want {
			t.Errorf("%s: got %q, want %q", row.sql, got, row.want)
		}
		if strings.Contains(row.sql, "; ") {
			row.want = "42601" // PostgreSQL and pgherd prepare one statement at a time
		}
		if got := prepared(t, conn, row.sql); got != row.want {
			t.Errorf("%s, prepared: got %q, want %q", row.sql, got, row.want)
		}
	}
	p.write("pgpool.conf", strings.Replace(p.read("pgpool.conf"), "query_timeout = 300", "query_timeout = 600", 1))
	if err := p.Reload(p.config()); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ sql, want string }{
		{"PGPOOL SHOW query_timeout", "1s"}, {"PGPOOL SHOW query_wait_timeout", "3s"},
		{"PGPOOL RESET query_timeout", ""}, {"PGPOOL SHOW query_timeout", "10min"}, {"PGPOOL SHOW query_wait_timeout", "3s"},
		{"PGPOOL RESET ALL", ""}, {"PGPOOL SHOW query_wait_timeout", "100s"},
	} {
		if got := prepared(t, conn, row.sql); got != row.want {
			t.Errorf("after the reload, %s: got %q, want %q", row.sql, got, row.want)
		}
	}
	if out, err := p.psql("user=postgres dbname=app", "postgres", "PGPOOL SHOW ALL"); err != nil || strings.Contains(out, "=postgres\n") ||
		!strings.Contains(out, "sr_check_password|*****|") {
		t.Errorf("%v, %s", err, out)
	}
}

// simply sends a command by the simple protocol, and returns the last value, or the SQLSTATE.
func simply(t *testing.T, conn *pgconn.PgConn, sql string) string {
	results, err := conn.Exec(t.Context(), sql).ReadAll()
	if err != nil || len(results) == 0 {
		return stateOf(t, err)
	}
	return lastOf(results[len(results)-1])
}

// prepared sends a command by the extended protocol, with a Describe.
func prepared(t *testing.T, conn *pgconn.PgConn, sql string) string {
	result := conn.ExecParams(t.Context(), sql, nil, nil, nil, nil).Read()
	if result.Err != nil {
		return stateOf(t, result.Err)
	}
	return lastOf(result)
}

func lastOf(r *pgconn.Result) string {
	if len(r.Rows) == 0 {
		return ""
	}
	return string(r.Rows[len(r.Rows)-1][0])
}

func stateOf(t *testing.T, err error) string {
	fault, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		t.Fatal(err)
	}
	return fault.Code
}
