package proxy

import (
	"testing"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
)

// TestModesOf checks that each word of the configuration becomes its pool mode.
func TestModesOf(t *testing.T) {
	c := &config.Config{Pool: config.Pool{Mode: "transaction", Modes: []config.PoolMode{
		{Database: "reports", Mode: "session"}, {User: "batch", Mode: "statement"},
	}}}
	modes := modesOf(c)
	for _, row := range []struct {
		database, user string
		want           pool.Mode
	}{
		{"app", "alice", pool.Transaction}, {"reports", "alice", pool.Session},
		{"reports", "batch", pool.Session}, {"app", "batch", pool.Statement},
	} {
		if got := modes.Of(row.database, row.user); got != row.want {
			t.Errorf("%s/%s: got %s, want %s", row.database, row.user, got, row.want)
		}
	}
}

// TestMaxIndex checks that workers have a place for every node that can be configured.
func TestMaxIndex(t *testing.T) {
	if nodes.MaxIndex < config.MaxIndex {
		t.Errorf("nodes.MaxIndex is %d, but the configuration allows numbers up to %d", nodes.MaxIndex, config.MaxIndex)
	}
}

// TestFrequentChecksKeepSights checks that what was seen of a node counts for three seconds at least: a check may last
// longer than a short health_check_period, and the node would be unknown meanwhile.
func TestFrequentChecksKeepSights(t *testing.T) {
	for period, want := range map[time.Duration]time.Duration{100 * time.Millisecond: 3 * time.Second, 5 * time.Second: 15 * time.Second} {
		c := &config.Config{Nodes: make([]config.Node, 1)}
		c.Nodes[0].Health.Period = period
		if got := new(Proxy).supervisorSettings(c).Failover.SightsLast; got != want {
			t.Errorf("with a period of %v sights last %v, want %v", period, got, want)
		}
	}
}
