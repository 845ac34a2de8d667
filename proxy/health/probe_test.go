package health

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/nodes"
)

// always logs in to every node alike.
func always(a Access) func(int) []Access { return func(int) []Access { return []Access{a} } }

// TestSQL probes a real primary and its standby.
func TestSQL(t *testing.T) {
	t.Parallel()
	h := herdtest.Start(t, herd.Settings{Standbys: 1})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	probe := NewSQL(always(Access{User: herd.Superuser, Password: herd.Superuser, Database: "postgres", SSLMode: "disable"})).Probe
	var all []Node
	findings := map[int]Finding{}
	for _, n := range h.Nodes() {
		node := Node{Node: nodes.Node{Index: n.Index, Host: n.Host, Port: n.Port}}
		all = append(all, node)
		finding, err := probe(ctx, &node.Node)
		if err != nil {
			t.Fatal(err)
		}
		findings[n.Index] = finding
	}
	primary, standby := findings[0], findings[1]
	if !primary.Reachable || primary.Role != nodes.Primary || primary.LSN == 0 {
		t.Errorf("the primary is found as %+v", primary)
	}
	if !standby.Reachable || standby.Role != nodes.Standby || standby.LSN == 0 || len(standby.Standbys) != 0 {
		t.Errorf("the standby is found as %+v", standby)
	}
	if r := standby.Receiver; !r.Streaming || r.Conninfo == "" || standby.Received < standby.LSN {
		t.Errorf("the standby's receiver is %+v", r)
	}
	if primary.Receiver.Name != "node0" || standby.Receiver.Name != "node1" {
		t.Errorf("as standbys the nodes call themselves %q and %q", primary.Receiver.Name, standby.Receiver.Name)
	}
	if p, s := primary.Last, standby.Last; p.System == 0 || p.System != s.System || p.Timeline != 1 || s.Timeline != 1 || p.Role != nodes.Primary || s.Role != nodes.Standby {
		t.Errorf("the nodes say that they are %+v and %+v", p, s)
	}
	if row := primary.Standbys["node1"]; row.State != "streaming" || row.SyncState != "async" || row.Delay < 0 {
		t.Errorf("the primary reports the standbys %+v", primary.Standbys)
	}
	all[1].ApplicationName = "node1"
	if v := Believe(all, findings, nil, start); roles(v) != "0 primary, 1 standby" && v.Nodes[1].DelayBytes == 0 || v.Nodes[1].ReplicationState != "streaming" {
		t.Errorf("the View has the nodes %+v", v.Nodes)
	}
	t.Run("a delay in time", func(t *testing.T) { checkDelay(ctx, t, h, probe, &all[0].Node) })
	t.Run("a user who may not see the standbys", func(t *testing.T) {
		f, err := NewSQL(always(Access{User: herd.User, Password: herd.User, Database: herd.Database, SSLMode: "disable"})).Probe(ctx, &all[0].Node)
		if err != nil || f.Role != nodes.Primary || f.Standbys["node1"].State != "" {
			t.Errorf("found %+v, error %v", f, err)
		}
	})
	t.Run("a user who may not see the system's identifier", func(t *testing.T) { checkUnseen(ctx, t, h, &all[0].Node) })
	t.Run("a wrong password", func(t *testing.T) { checkRefused(ctx, t, &all[0].Node) })
	t.Run("a standby that is promoted", func(t *testing.T) {
		if _, err := h.ExecOn(ctx, 1, "SELECT pg_promote()"); err != nil {
			t.Fatal(err)
		}
		if f, err := probe(ctx, &all[1].Node); err != nil || f.Last.Timeline != 2 || f.Last.System != primary.Last.System {
			t.Errorf("found %+v, error %v", f, err)
		}
	})
	t.Run("a stopped node", func(t *testing.T) {
		if err := h.Kill(1); err != nil {
			t.Fatal(err)
		}
		if f, err := probe(ctx, &all[1].Node); err == nil || f.Reachable {
			t.Errorf("found %+v, error %v", f, err)
		}
	})
}

// checkUnseen checks that what the user may not see counts as not known, and not as a failure of the node.
func checkUnseen(ctx context.Context, t *testing.T, h *herd.Herd, n *nodes.Node) {
	const functions = "pg_control_system(), pg_walfile_name(pg_lsn)"
	if _, err := h.Exec(ctx, "REVOKE EXECUTE ON FUNCTION "+functions+" FROM PUBLIC"); err != nil {
		t.Fatal(err)
	}
	access := Access{User: herd.User, Password: herd.User, Database: herd.Database, SSLMode: "disable"}
	if f, err := NewSQL(always(access)).Probe(ctx, n); err != nil || f.Last != (Identity{Role: nodes.Primary}) {
		t.Errorf("found %+v, error %v", f, err)
	}
	if _, err := h.Exec(ctx, "GRANT EXECUTE ON FUNCTION "+functions+" TO PUBLIC"); err != nil {
		t.Fatal(err)
	}
	if f, err := NewSQL(always(access)).Probe(ctx, n); err != nil || f.Last.System == 0 || f.Last.Timeline == 0 {
		t.Errorf("found %+v, error %v", f, err)
	}
}

// checkDelay checks that a primary reports the delay of a standby that is made to lag.
func checkDelay(ctx context.Context, t *testing.T, h *herd.Herd, probe Probe, primary *nodes.Node) {
	const delay = 300 * time.Millisecond
	for _, sql := range []string{"ALTER SYSTEM SET recovery_min_apply_delay = '300ms'", "SELECT pg_reload_conf()"} {
		if _, err := h.ExecOn(ctx, 1, sql); err != nil {
			t.Fatal(err)
		}
	}
	for {
		if _, err := h.Exec(ctx, "CREATE TABLE IF NOT EXISTS lag (i int); INSERT INTO lag VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		f, err := probe(ctx, primary)
		if err != nil {
			t.Fatal(err)
		}
		if d := f.Standbys["node1"].Delay; d >= delay && d < patience {
			return
		}
	}
}

// checkRefused checks that the error says why, and does not contain the secret (I9), whatever
// characters that has.
func checkRefused(ctx context.Context, t *testing.T, n *nodes.Node) {
	const secret = `wr'ong \ se'cret`
	f, err := NewSQL(always(Access{User: herd.User, Password: secret, Database: herd.Database, SSLMode: "disable"})).Probe(ctx, n)
	if err == nil || f.Reachable || !strings.Contains(err.Error(), "28P01") || strings.Contains(err.Error(), "cret") {
		t.Errorf("found %+v, error %v", f, err)
	}
}

// TestSQLHangs checks that a node whose kernel accepts connections, but which says nothing, is
// unreachable by the context's deadline.
func TestSQLHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	n := &nodes.Node{Index: 3, Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	f, err := NewSQL(always(Access{User: "a", Password: "b", Database: "c", SSLMode: "disable"})).Probe(ctx, n)
	if err == nil || f.Reachable || !strings.Contains(err.Error(), "node 3") {
		t.Errorf("found %+v, error %v", f, err)
	}
}
