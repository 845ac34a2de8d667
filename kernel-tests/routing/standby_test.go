package routing_test

import "testing"

// TestOnlyWhatStandbysDo checks that statements that a standby refuses never go to one, and that those that it can run do.
func TestOnlyWhatStandbysDo(t *testing.T) {
	engines(t, func(t *testing.T, config string) {
		proxy := start(t, config+"backend_weight0 = 0\n")
		for _, c := range []struct {
			name   string
			before []string
			away   bool
		}{
			{"a function that only reads", nil, true},
			{"a block", []string{"BEGIN"}, true},
			{"a block that may write", []string{"BEGIN READ WRITE"}, false},
			{"a block that may write, read committed", []string{"BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"}, false},
			{"a block that may not write", []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}, true},
			{"serializable by default", []string{"SET default_transaction_isolation = 'serializable'"}, false},
			{"serializable by SESSION CHARACTERISTICS", []string{"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"}, false},
			{"serializable by default, in a block", []string{"SET default_transaction_isolation = serializable", "BEGIN"}, false},
			{"serializable no longer", []string{"SET default_transaction_isolation = 'serializable'", "RESET default_transaction_isolation"}, true},
			{"after writing in the block", []string{"BEGIN", "DELETE FROM quick"}, false},
		} {
			t.Run(c.name, func(t *testing.T) {
				conn := connect(t, proxy)
				for _, sql := range c.before {
					mustAsk(t, conn, sql)
				}
				if got := mustAsk(t, conn, "SELECT node()"); (got != "node0") != c.away {
					t.Errorf("a read went to %s", got)
				}
			})
		}
	})
}
