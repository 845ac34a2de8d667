package faults_test

import "testing"

// What another transaction has drawn may have been drawn on another server:
// PostgreSQL would answer, for somebody else.
func TestSequenceOfAnotherTransaction(t *testing.T) {
	proxy := start(t, "auto", oneServer)
	conn, other := connect(t, proxy), connect(t, proxy)
	mustAsk(t, conn, "CREATE SEQUENCE drawn")
	defer direct(t, "DROP SEQUENCE drawn")
	for _, sql := range []string{"SELECT currval('drawn')", "SELECT lastval()"} {
		mustAsk(t, conn, "SELECT nextval('drawn')")
		mustAsk(t, other, "SELECT nextval('drawn')")
		_, err := ask(conn, sql)
		wantRefused(t, sql, err, "pool_mode = session")
		if together := mustAsk(t, conn, "BEGIN; SELECT nextval('drawn'); "+sql); together == "" {
			t.Errorf("%s: nothing", sql)
		}
		mustAsk(t, conn, "COMMIT")
		_, err = ask(conn, sql)
		wantRefused(t, sql+" after COMMIT", err, "pool_mode = session")
	}
}
