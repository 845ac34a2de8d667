package faults_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgherd/bench/herd"
)

// TestResetsLeaveNoWarning checks that clients that leave, in a transaction or not, cause no line
// in PostgreSQL's log. The server is free for the next client once it is reset.
func TestResetsLeaveNoWarning(t *testing.T) {
	ctx, cancel := limited(answerLimit)
	defer cancel()
	if _, err := world.herd.Exec(ctx, "ALTER ROLE bob SET log_min_messages = warning"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := limited(answerLimit)
		defer cancel()
		if _, err := world.herd.Exec(ctx, "ALTER ROLE bob RESET log_min_messages"); err != nil {
			t.Error(err)
		}
	})
	warnings := func() int {
		text, err := os.ReadFile(world.herd.Log(0))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "no transaction in progress")
	}
	for _, mode := range []string{"session", "transaction", "statement"} {
		for nodes := 1; nodes <= 2; nodes++ {
			t.Run(fmt.Sprintf("%s mode, %d nodes", mode, nodes), func(t *testing.T) {
				proxy := startProxy(t, herd.ProxySettings{Nodes: world.herd.Nodes()[:nodes],
					Config: "pool_mode = " + mode + "\ndefault_pool_size = 1\nbackend_weight1 = 0\n"})
				before := warnings()
				for _, sql := range []string{"SELECT 1", "SET work_mem = '1MB'", "CREATE TEMP TABLE gone (i int)", "BEGIN", "BEGIN; SELECT 1 / 0", "LISTEN x", "SELECT 1"} {
					conn, err := tryConnect(proxy, herd.UserMD5, "")
					if err != nil {
						t.Fatal(err)
					}
					_, _ = ask(conn, sql) // some of these statements fail
					closeConn(conn)
				}
				if n := warnings() - before; n != 0 {
					t.Errorf("PostgreSQL has logged %d warnings", n)
				}
				conn, err := tryConnect(proxy, herd.UserMD5, "")
				if err != nil {
					t.Fatal(err)
				}
				defer closeConn(conn)
				mustAsk(t, conn, "ABORT")
				if n := warnings() - before; n != 1 {
					t.Errorf("pgherd has logged %d warnings", n)
				}
			})
		}
	}
}
