// Package roles_test changes, under a real pgherd with idle servers, what PostgreSQL has let those servers in on: roles,
// databases, their rights, limits and settings, both without pgherd and through it. A log-in after that must have the
// same result as without pgherd. It also drops, renames and copies databases that only idle servers use.
package roles_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// world is a primary with a standby. Role trusted needs no password, and keyed has one.
var world struct {
	herd   *herd.Herd
	binary string
}

var hba = []string{
	"host all keyed 127.0.0.1/32 scram-sha-256",
	"host all all 127.0.0.1/32 trust",
	"local all all trust",
	"host replication all 127.0.0.1/32 trust",
}

func TestMain(m *testing.M) {
	settings := herd.Settings{Standbys: 1, HBA: hba, Config: []string{"log_min_messages = fatal", "max_prepared_transactions = 5"}}
	herdtest.Main(m, settings, func(_ context.Context, h *herd.Herd, binary string) error {
		world.herd, world.binary = h, binary
		return nil
	})
}

// variant is a configuration of the pgherd under test.
type variant struct {
	name, mode string
	nodes      int
}

var (
	all = []variant{{"session", "session", 1}, {"transaction", "transaction", 1},
		{"session, balanced", "session", 2}, {"transaction, balanced", "transaction", 2}}
	unlike = []variant{all[0], all[3]}
)

const config = "workers = 2\nlogin_check_period = 1\nauth_user = postgres\nauth_password = postgres\nauth_dbname = postgres\n" +
	"auth_query = 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1'\nauth_query_cache_ttl = 0\n"

// each runs the test with each variant.
func each(t *testing.T, variants []variant, test func(t *testing.T, p *herd.Proxy)) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			p := herdtest.StartProxy(t, herd.ProxySettings{Binary: world.binary, Nodes: world.herd.Nodes()[:v.nodes],
				HBA: hba[0] + "\n" + hba[1] + "\n", Config: config + "pool_mode = " + v.mode + "\n"})
			herdtest.Eventually(t, "pgherd finds its primary", func() error {
				conn, err := logIn(p.Port, herd.Superuser, "postgres")
				if err == nil {
					herdtest.Close(conn)
				}
				return err
			})
			test(t, p)
		})
	}
}

func logIn(port int, user, database string) (*pgconn.PgConn, error) {
	return herdtest.Connect(fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=%s sslmode=disable", port, user, user, database))
}

// stay logs in, and stays until the test ends.
func stay(t *testing.T, port int, user, database string) *pgconn.PgConn {
	t.Helper()
	conn, err := logIn(port, user, database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { herdtest.Close(conn) })
	return conn
}

func primary() int { return world.herd.Nodes()[0].Port }

// perform runs statements one by one, none of them in a block; if extended, by the extended protocol.
func perform(conn *pgconn.PgConn, extended bool, statements ...string) error {
	ctx, cancel := herdtest.Limited(herdtest.AnswerLimit)
	defer cancel()
	for _, sql := range statements {
		if err := performOne(ctx, conn, extended, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, herdtest.Hung(ctx, err))
		}
	}
	return nil
}

func performOne(ctx context.Context, conn *pgconn.PgConn, extended bool, sql string) error {
	if extended {
		return conn.ExecParams(ctx, sql, nil, nil, nil, nil).Read().Err
	}
	return conn.Exec(ctx, sql).Close()
}

func mustPerform(t *testing.T, conn *pgconn.PgConn, statements ...string) {
	t.Helper()
	if err := perform(conn, false, statements...); err != nil {
		t.Fatal(err)
	}
}

func sqlstate(err error) string {
	if fault, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fault.Code
	}
	return ""
}
