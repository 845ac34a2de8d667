package routing_test

import (
	"context"
	"fmt"
	"testing"
)

// holdBack has the standbys replay what they get only so much later.
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

// A client that reads back at once what it wrote, from standbys that are 2 s
// behind: with session and global it always finds its row, with eventual it does not.
func TestReadYourOwnWrites(t *testing.T) {
	engines(t, func(t *testing.T, config string) {
		config += "backend_weight0 = 0\nstatement_level_load_balance = on\n"
		for i, c := range []struct {
			consistency string
			others      bool // another session reads
			misses      bool
		}{{"session", false, false}, {"global", false, false}, {"global", true, false}, {"eventual", false, true}} {
			t.Run(fmt.Sprintf("%s,others=%v", c.consistency, c.others), func(t *testing.T) {
				proxy := start(t, config+"read_consistency = "+c.consistency+"\n")
				holdBack(t, "2s")
				writer := connect(t, proxy)
				reader := writer
				if c.others {
					reader = connect(t, proxy)
				}
				owner, missed, away := 1_000_000+i, 0, 0
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
				if (missed > 0) != c.misses || (away > 0) != c.misses {
					t.Errorf("%d of %d reads missed their row, %d were on a standby", missed, times(20), away)
				}
			})
		}
	})
}
