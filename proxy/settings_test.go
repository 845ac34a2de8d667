package proxy

import (
	"testing"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
)

// TestModesOf: each word of the configuration is a mode of its own.
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
			t.Errorf("%s/%s: %s, want %s", row.database, row.user, got, row.want)
		}
	}
}

// TestSessionTime is written as PostgreSQL's log_disconnections writes it.
func TestSessionTime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00:00.000", 5*time.Second + 123456*time.Microsecond: "0:00:05.123", 59*time.Second + 999600*time.Microsecond: "0:01:00.000",
		25*time.Hour + 61*time.Minute + 7*time.Second: "26:01:07.000",
	} {
		if got := sessionTime(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// TestMaxIndex: whatever node can be configured has its place with the workers.
func TestMaxIndex(t *testing.T) {
	if nodes.MaxIndex < config.MaxIndex {
		t.Errorf("%d, but nodes may be numbered up to %d", nodes.MaxIndex, config.MaxIndex)
	}
}
