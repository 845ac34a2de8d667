package faults_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// bulkySQL is a long statement that differs from all others.
func bulkySQL(i int) string {
	return fmt.Sprintf("SELECT '%d', '%s'", i, strings.Repeat("x", 50_000))
}

func prepareBulky(t *testing.T, conn *pgconn.PgConn, i int) error {
	t.Helper()
	ctx, cancel := limited(answerLimit)
	defer cancel()
	_, err := conn.Prepare(ctx, fmt.Sprint("bulky", i), bulkySQL(i), nil)
	return err
}

// prepareUntilRefused prepares statements until one is refused, and returns the number of those before it.
func prepareUntilRefused(t *testing.T, conn *pgconn.PgConn, code string) int {
	t.Helper()
	for i := range 500 {
		if err := prepareBulky(t, conn, i); err != nil {
			wantState(t, err, code)
			return i
		}
	}
	t.Fatal("none of 500 statements of 50 kB was refused")
	return 0
}

// keptBytes is the number of bytes that pgherd keeps for all clients.
func keptBytes(t *testing.T, watch *pgconn.PgConn) int {
	t.Helper()
	rows, err := show(watch, "SHOW POOL_MEMORY")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(rows[0]["bytes"])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func nothingKept(t *testing.T, watch *pgconn.PgConn) {
	t.Helper()
	eventually(t, "nothing is kept for those who have left", func() error {
		if n := keptBytes(t, watch); n >= 64<<10 { // some bytes are kept for the client that asks
			return fmt.Errorf("%d bytes are still kept", n)
		}
		return nil
	})
}

// memoryModes are the pool modes in which statements follow their clients.
func memoryModes(t *testing.T, config string, test func(t *testing.T, proxy *herd.Proxy)) {
	for name, c := range map[string]struct {
		nodes  int
		config string
	}{
		"transaction":           {1, "pool_mode = transaction"},
		"transaction, balanced": {2, "pool_mode = transaction\nload_balance_mode = on"},
		"session, balanced":     {2, "pool_mode = session\nload_balance_mode = on"},
	} {
		t.Run(name, func(t *testing.T) {
			test(t, startProxy(t, herd.ProxySettings{Nodes: world.herd.Nodes()[:c.nodes], Config: c.config + "\n" + config}))
		})
	}
}

// TestClientMemoryLimit checks that a statement that a client prepares beyond its limit is refused. The client goes on
// with those that it has, and closing one, in either protocol, makes room for another.
func TestClientMemoryLimit(t *testing.T) {
	memoryModes(t, "client_memory_limit = 1MB", func(t *testing.T, proxy *herd.Proxy) {
		watch, conn := connectAs(t, proxy, herd.Superuser, ""), connect(t, proxy)
		n := prepareUntilRefused(t, conn, "54000")
		if n < 5 {
			t.Fatalf("only %d statements of 50 kB fit", n)
		}
		result := conn.ExecPrepared(t.Context(), "bulky0", nil, nil, nil).Read()
		if result.Err != nil || string(result.Rows[0][0]) != "0" {
			t.Errorf("the first statement: got %+v", result)
		}
		mustAsk(t, conn, "SELECT 'simple'")
		if r := conn.ExecParams(t.Context(), bulkySQL(7), nil, nil, nil, nil).Read(); r.Err != nil || string(r.Rows[0][0]) != "7" {
			t.Errorf("a statement without a name: got error %+v", r.Err)
		}
		_, err := ask(conn, "SET application_name = '"+strings.Repeat("y", 60_000)+"'")
		wantState(t, err, "54000")
		mustAsk(t, conn, "RESET application_name")
		for i, sql := range []string{"", "DEALLOCATE bulky1"} {
			if sql != "" {
				mustAsk(t, conn, sql)
			} else if err := conn.Deallocate(t.Context(), "bulky0"); err != nil {
				t.Fatal(err)
			}
			if err := prepareBulky(t, conn, 1000+i); err != nil {
				t.Errorf("a statement for which there is room: got error %v", err)
			}
			wantState(t, prepareBulky(t, conn, 2000+i), "54000")
		}
		mustAsk(t, conn, "BEGIN")
		wantState(t, prepareBulky(t, conn, 3000), "54000")
		_, err = ask(conn, "SELECT 1")
		wantState(t, err, "25P02")
		mustAsk(t, conn, "ROLLBACK")
		mustAsk(t, conn, "DISCARD ALL")
		if again := prepareUntilRefused(t, conn, "54000"); again != n {
			t.Errorf("after DISCARD ALL %d statements fit, before it %d", again, n)
		}
		closeConn(conn)
		nothingKept(t, watch)
	})
}

// TestClientsMemoryLimit checks that many clients together reach the common limit, and that nothing is counted for them
// once they have left, in whatever way.
func TestClientsMemoryLimit(t *testing.T) {
	memoryModes(t, "clients_memory_limit = 4MB", func(t *testing.T, proxy *herd.Proxy) {
		watch := connectAs(t, proxy, herd.Superuser, "")
		var refused int
		for range 2 {
			err := each(16, 16, func(i int) error {
				conn, err := tryConnect(proxy, herd.User, "")
				if err != nil {
					return err
				}
				defer closeConn(conn)
				for k := range 20 {
					if err := prepareBulky(t, conn, k*100+i); err != nil && sqlstate(err) != "53200" {
						return err
					}
				}
				if got, err := ask(conn, "SELECT 'mine'"); err != nil || got != "mine" {
					return fmt.Errorf("a refused client does not go on: got %q, error %w", got, err)
				}
				if i%2 == 0 {
					vanish(conn.Conn(), true)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			nothingKept(t, watch)
			conn := connect(t, proxy)
			refused = prepareUntilRefused(t, conn, "53200")
			if n := keptBytes(t, watch); n > 4<<20 || n < 3<<20 {
				t.Errorf("%d bytes are counted, the limit is 4 MB", n)
			}
			if got := mustAsk(t, connect(t, proxy), "SELECT 'other'"); got != "other" {
				t.Errorf("another client got %q", got)
			}
			closeConn(conn)
			nothingKept(t, watch)
		}
		t.Logf("%d statements fit before the refusal", refused)
	})
}

// TestMemoryOfSessionMode checks that pgherd keeps nothing where servers are not shared, because PostgreSQL keeps the
// statements.
func TestMemoryOfSessionMode(t *testing.T) {
	proxy := start(t, "auto", "client_memory_limit = 1MB")
	conn := connect(t, proxy)
	for i := range 50 {
		if err := prepareBulky(t, conn, i); err != nil {
			t.Fatal(err)
		}
	}
	nothingKept(t, connectAs(t, proxy, herd.Superuser, ""))
}
