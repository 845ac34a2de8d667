package proxy

import (
	"testing"

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
