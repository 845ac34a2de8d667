package faults_test

import "testing"

// TestPreparedBesideATemporaryTable checks that a statement that a client has prepared while it had a temporary table
// does not become the statement of the server's next client, although the text is the same.
func TestPreparedBesideATemporaryTable(t *testing.T) {
	direct(t, "CREATE TABLE shadowed (everybodys text); GRANT SELECT ON shadowed TO PUBLIC")
	defer direct(t, "DROP TABLE shadowed")
	proxy := start(t, "auto", oneServer+"query_wait_timeout = 5\n")
	conn, other := connect(t, proxy), connect(t, proxy)
	mustAsk(t, conn, "CREATE TEMP TABLE shadowed (mine int)")
	const sql = "SELECT * FROM shadowed"
	for _, step := range []struct {
		name, want string
		undo       string
	}{{"the owner", "mine", "DROP TABLE shadowed"}, {"the next", "everybodys", "SELECT 1"}} {
		ctx, cancel := limited(answerLimit)
		defer cancel()
		described, err := conn.Prepare(ctx, "s", sql, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := described.Fields[0].Name; got != step.want {
			t.Errorf("client %s is told the column %s, want %s", step.name, got, step.want)
		}
		if result := conn.ExecPrepared(ctx, "s", nil, nil, nil).Read(); result.Err != nil {
			t.Errorf("client %s: got error %v", step.name, result.Err)
		}
		mustAsk(t, conn, step.undo)
		conn = other
	}
}
