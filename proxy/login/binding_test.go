package login

import (
	"net"
	"strings"
	"testing"

	"pgherd/bench/herd/herdtest"
)

// TestClientsBind logs in by SCRAM-SHA-256-PLUS with libpq, where pgherd has the password or a
// verifier.
func TestClientsBind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options, password string
		in                bool
		told              string
	}{
		{"user=alice sslmode=require channel_binding=require", "pencil-alice", true, ""},
		{"user=alice sslmode=require channel_binding=prefer", "pencil-alice", true, ""},
		{"user=alice sslmode=require channel_binding=disable", "pencil-alice", true, ""},
		{"user=vera sslmode=require channel_binding=require", "pencil", true, ""},
		{"user=vera sslmode=require channel_binding=require", "wrong", false, "password authentication failed"},
		{"user=nobody sslmode=require channel_binding=require", "wrong", false, "password authentication failed"},
		{"user=alice sslmode=disable channel_binding=require", "pencil-alice", false, "channel binding"},
		{"user=alice sslmode=disable", "pencil-alice", true, ""},
	} {
		g := startGate(t, nil)
		host, port, _ := net.SplitHostPort(g.addr)
		out, _ := herdtest.Psql(t, "dbname=app host="+host+" port="+port+" "+c.options, c.password, "select 1")
		g.closeAll()
		if (len(g.logins()) == 1) != c.in || !strings.Contains(out, c.told) {
			t.Errorf("%s: %d logins, psql says %s", c.options, len(g.logins()), out)
		}
	}
}
