package routing_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// holdBack delays the replay of the standbys by this much.
func holdBack(t *testing.T, delay string) {
	t.Helper()
	set := func(value string) {
		for node := 1; node <= 2; node++ {
			on(t, node, "ALTER SYSTEM SET recovery_min_apply_delay = '"+value+"'")
			on(t, node, "SELECT pg_reload_conf()")
		}
	}
	set(delay)
	t.Cleanup(func() {
		set("0")
		eventually(t, "the standbys have caught up", func() error { return world.herd.WaitStreaming(context.Background()) })
	})
}

// holdStill makes the standbys replay nothing, however long a test takes. Once it has returned, not even a record that a
// standby has already read is applied.
func holdStill(t *testing.T) {
	t.Helper()
	each := func(sql string) {
		for node := 1; node <= 2; node++ {
			on(t, node, sql)
		}
	}
	each("SELECT pg_wal_replay_pause()")
	t.Cleanup(func() {
		each("SELECT pg_wal_replay_resume()")
		eventually(t, "the standbys have caught up", func() error { return world.herd.WaitStreaming(context.Background()) })
	})
}

// TestReadYourOwnWrites checks that a client reads at once what it has written, while standbys have not replayed it. With
// session and global it always finds its row, with eventual it does not.
func TestReadYourOwnWrites(t *testing.T) {
	engines(t, func(t *testing.T, config string) {
		config += "backend_weight0 = 0\nstatement_level_load_balance = on\n"
		for i, c := range []struct {
			consistency string
			others      bool // whether another session reads
			misses      bool
		}{{"session", false, false}, {"global", false, false}, {"global", true, false}, {"eventual", false, true}} {
			t.Run(fmt.Sprintf("%s,others=%v", c.consistency, c.others), func(t *testing.T) {
				proxy := start(t, config+"read_consistency = "+c.consistency+"\n")
				holdStill(t)
				writer := connect(t, proxy)
				reader := writer
				if c.others {
					reader = connect(t, proxy)
				}
				check := func() error {
					missed, away := readBack(t, writer, reader, 1_000_000+i)
					if (missed > 0) != c.misses || (away > 0) != c.misses {
						return fmt.Errorf("%d of %d reads missed their row, and %d were on a standby", missed, times(20), away)
					}
					return nil
				}
				if c.misses { // a standby that answers probes slowly gets no reads for a while
					eventually(t, "reads miss their row on a standby", check)
				} else if err := check(); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// readBack counts the reads that missed the row that the writer had just written, and the reads that a standby answered.
func readBack(t *testing.T, writer, reader *pgconn.PgConn, owner int) (missed, away int) {
	t.Helper()
	mustAsk(t, writer, fmt.Sprintf("DELETE FROM item WHERE owner = %d", owner))
	for k := range times(20) {
		mustAsk(t, writer, fmt.Sprintf("INSERT INTO item (owner, k) VALUES (%d, %d)", owner, k))
		if got := mustAsk(t, reader, fmt.Sprintf("SELECT count(*) FROM item WHERE owner = %d", owner)); got != fmt.Sprint(k+1) {
			missed++
		}
		if mustAsk(t, reader, "SELECT node()") != "node0" {
			away++
		}
	}
	return missed, away
}
