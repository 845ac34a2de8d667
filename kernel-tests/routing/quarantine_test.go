package routing_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// TestForeignNode checks that a primary of another system gets neither reads nor writes, whatever
// its number, and that SHOW POOL_NODES and the log say so.
func TestForeignNode(t *testing.T) {
	ours, other := herdtest.Start(t, lone(1)), herdtest.Start(t, lone(0))
	nodes := append(ours.Nodes(), other.Nodes()...)
	proxy := startOn(t, nodes, "statement_level_load_balance = on\nbackend_flag0 = 'ALWAYS_PRIMARY'\nbackend_weight0 = 0\n")
	conn := connect(t, proxy)
	for range 50 {
		if got := mustAsk(t, conn, "SELECT current_setting('port')"); got == port(nodes[2]) {
			t.Fatal("a node of another system gets reads")
		}
	}
	mustAsk(t, conn, "CREATE TABLE mine (i int)")
	if got := statuses(t, proxy); got != "up primary, up standby, quarantine standby" {
		t.Errorf("nodes are shown as %s", got)
	}
	text, err := os.ReadFile(proxy.Log())
	if err != nil || strings.Count(string(text), "its system identifier is") != 1 || !strings.Contains(string(text), "HINT:  Make it a standby") {
		t.Errorf("the log is %s, error %v", text, err)
	}
}

// TestTwoPrimaries checks that after a start the node on the higher timeline is the primary, whatever
// its number, and that there is none if the timelines are equal.
func TestTwoPrimaries(t *testing.T) {
	ours := herdtest.Start(t, lone(1))
	ctx, cancel := limited(herdtest.SetupLimit)
	defer cancel()
	if _, err := ours.ExecOn(ctx, 1, "SELECT pg_promote()"); err != nil {
		t.Fatal(err)
	}
	nodes := ours.Nodes()
	proxy := startOn(t, nodes, "")
	if got := statuses(t, proxy); got != "quarantine standby, up primary" {
		t.Errorf("nodes are shown as %s", got)
	}
	conn := connect(t, proxy)
	if got := mustAsk(t, conn, "CREATE TABLE mine (i int); SELECT current_setting('port')"); got != port(nodes[1]) {
		t.Errorf("the node at port %s gets writes", got)
	}
	other := herdtest.Start(t, lone(0))
	tied := startOn(t, append(nodes[1:], other.Nodes()...), "failover_wait_timeout = 1\n")
	_, err := tryConnect(tied)
	if err == nil || !strings.Contains(err.Error(), "no primary node is available") {
		t.Errorf("with two independent primaries a write got error %v", err)
	}
}

// lone are the settings of a herd that no other test uses.
func lone(standbys int) herd.Settings { return herd.Settings{Standbys: standbys, HBA: []string{trust}} }

func startOn(t *testing.T, nodes []herd.Node, config string) *herd.Proxy {
	t.Helper()
	return herdtest.StartProxy(t, herd.ProxySettings{Binary: world.binary, Nodes: nodes, HBA: trust + "\n", Config: config})
}

func port(n herd.Node) string { return strconv.Itoa(n.Port) }

// statuses are the statuses and roles of SHOW POOL_NODES.
func statuses(t *testing.T, p *herd.Proxy) string {
	t.Helper()
	ctx, cancel := limited(answerLimit)
	defer cancel()
	results, err := connect(t, p).Exec(ctx, "SHOW POOL_NODES").ReadAll()
	if err != nil || len(results) != 1 {
		t.Fatalf("got %d results, error %v", len(results), err)
	}
	var all []string
	for _, row := range results[0].Rows {
		all = append(all, string(row[3])+" "+string(row[6]))
	}
	return strings.Join(all, ", ")
}
