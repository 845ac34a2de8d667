package executor

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// patience limits a test with real nodes.
const patience = 2 * time.Minute

// real is a herd of real nodes on which acts are carried out.
type real struct {
	*testing.T
	ctx   context.Context
	herd  *herd.Herd
	does  *Executor
	nodes []nodes.Node
}

func start(t *testing.T, standbys int, config ...string) *real {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	h, err := herd.Start(ctx, herd.Settings{Standbys: standbys, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	r := &real{T: t, ctx: ctx, herd: h, does: New(nodesql.Access{User: herd.Superuser, Password: herd.Superuser, Database: "postgres", SSLMode: "disable"})}
	for _, n := range h.Nodes() {
		r.nodes = append(r.nodes, nodes.Node{Index: n.Index, Host: n.Host, Port: n.Port})
	}
	return r
}

func (r *real) sql(node int, sql string) string {
	r.Helper()
	out, err := r.herd.ExecOn(r.ctx, node, sql)
	if err != nil {
		r.Fatal(err)
	}
	return out
}

// TestRevoke checks that once a standby has stopped receiving the primary can acknowledge no synchronous commit, though it is
// alive. The standby then reports what it has.
func TestRevoke(t *testing.T) {
	r := start(t, 1, "synchronous_standby_names = 'ANY 1 (node1)'")
	r.sql(0, "CREATE TABLE t (a int)")
	r.sql(0, "SET synchronous_commit = on; INSERT INTO t VALUES (1)")
	before, err := r.does.Position(r.ctx, &r.nodes[1])
	if err != nil {
		t.Fatal(err)
	}
	if before.Revoked || before.System == 0 || before.Timeline != 1 || before.Received == 0 || before.Paused {
		t.Errorf("the position is %+v", before)
	}
	for range 2 { // the second revoke changes nothing
		after, err := r.does.Revoke(r.ctx, &r.nodes[1])
		if err != nil {
			t.Fatal(err)
		}
		if !after.Revoked || after.System != before.System || after.Received < before.Received {
			t.Errorf("revoked: got %+v, before it was %+v", after, before)
		}
	}
	waits, cancel := context.WithTimeout(r.ctx, 2*time.Second)
	defer cancel()
	if _, err := r.herd.ExecOn(waits, 0, "SET synchronous_commit = on; INSERT INTO t VALUES (2)"); err == nil {
		t.Error("a commit that no standby has was acknowledged")
	}
	if got := r.sql(1, "SELECT count(*) FROM t WHERE a = 2"); got != "0" {
		t.Error("the standby still receives after a revoke")
	}
	if err := r.does.Follow(r.ctx, &r.nodes[1], &r.nodes[0]); err != nil {
		t.Fatal(err)
	}
	r.sql(0, "SET synchronous_commit = remote_apply; INSERT INTO t VALUES (3)")
	if got := r.sql(1, "SELECT count(*) FROM t WHERE a = 3"); got != "1" {
		t.Error("the standby does not receive again after the revoke was undone")
	}
	if got := nodesql.ParseConninfo(r.sql(1, "SHOW primary_conninfo")).Get("application_name"); got != "node1" {
		t.Errorf("the settings of the log-in were lost: application_name is %q", got)
	}
}

// TestComeOver has a standby with a slot receive from another one, and go back. The slot that was made for it is dropped; one that
// was there stays.
func TestComeOver(t *testing.T) {
	r := start(t, 2)
	r.sql(0, "SELECT pg_create_physical_replication_slot('keeps_two', true)")
	r.sql(2, "ALTER SYSTEM SET primary_slot_name = 'keeps_two'")
	r.sql(2, "SELECT pg_reload_conf()")
	for _, c := range []struct {
		to   int
		slot string
	}{{1, "keeps_two"}, {0, ""}} {
		slot, err := r.does.ComeOver(r.ctx, &r.nodes[2], &r.nodes[c.to])
		if err != nil || slot != c.slot {
			t.Fatalf("to node %d: slot %q, error %v", c.to, slot, err)
		}
	}
	for range 2 { // the second time it is not there any more
		if err := r.does.DropSlot(r.ctx, &r.nodes[1], "keeps_two"); err != nil {
			t.Error(err)
		}
	}
	if got := r.sql(1, "SELECT count(*) FROM pg_replication_slots"); got != "0" {
		t.Errorf("%s slots are left over", got)
	}
}

// TestFollowWakes has a standby follow that has failed to connect, and would try again in an hour.
func TestFollowWakes(t *testing.T) {
	r := start(t, 1)
	r.sql(1, "ALTER SYSTEM SET wal_retrieve_retry_interval = '1h'")
	if err := r.does.Follow(r.ctx, &r.nodes[1], &r.nodes[0]); err != nil { // so that nothing is left to be changed
		t.Fatal(err)
	}
	r.sql(1, "SELECT pg_reload_conf()")
	if err := r.herd.Kill(0); err != nil {
		t.Fatal(err)
	}
	herdtest.Eventually(t, "the standby has failed to connect", func() error {
		if log, err := os.ReadFile(r.herd.Log(1)); err != nil || !strings.Contains(string(log), "could not connect to the primary server") {
			return fmt.Errorf("its log does not say so (%v)", err)
		}
		return nil
	})
	if err := r.herd.Restart(r.ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.does.Follow(r.ctx, &r.nodes[1], &r.nodes[0]); err != nil {
		t.Error(err)
	}
}

// TestPromoteAndFollow has one standby take over from a primary that was killed, and the other one
// follow it, with a slot of the name that it had.
func TestPromoteAndFollow(t *testing.T) {
	r := start(t, 2)
	r.sql(0, "CREATE TABLE t (a int)")
	r.sql(0, "SELECT pg_create_physical_replication_slot('keeps_two', true)")
	r.sql(2, "ALTER SYSTEM SET primary_slot_name = 'keeps_two'")
	r.sql(2, "SELECT pg_reload_conf()")
	if err := r.herd.WaitStreaming(r.ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.herd.Kill(0); err != nil {
		t.Fatal(err)
	}
	for _, n := range r.nodes[1:] {
		if _, err := r.does.Revoke(r.ctx, &n); err != nil {
			t.Fatal(err)
		}
	}
	promoted, sync, err := r.does.Promote(r.ctx, &r.nodes[1], 1)
	if err != nil || promoted.Node != 1 || promoted.Timeline != 2 || promoted.System == 0 || sync != "" {
		t.Fatalf("promoted: got %+v, set %q, error %v", promoted, sync, err)
	}
	again, _, err := r.does.Promote(r.ctx, &r.nodes[1], 1)
	if err != nil || again != promoted {
		t.Errorf("promoted again: got %+v, error %v", again, err)
	}
	if _, _, err := r.does.Promote(r.ctx, &r.nodes[1], 2); err == nil || !strings.Contains(err.Error(), "timeline 2") {
		t.Errorf("a primary on an old timeline counts: got error %v", err)
	}
	if err := r.does.Follow(r.ctx, &r.nodes[2], &r.nodes[1]); err != nil {
		t.Fatal(err)
	}
	r.sql(1, "INSERT INTO t VALUES (1)")
	for r.sql(2, "SELECT count(*) FROM t") != "1" {
		time.Sleep(time.Millisecond) // r.ctx limits this loop
	}
	if err := r.herd.Kill(1); err != nil { // the new primary is lost at once, too
		t.Fatal(err)
	}
	if a, err := r.does.Revoke(r.ctx, &r.nodes[2]); err != nil || a.Timeline != 2 {
		t.Errorf("a standby that follows timeline 2 answers %+v, error %v", a, err)
	}
	if err := r.herd.Restart(r.ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := r.does.Follow(r.ctx, &r.nodes[2], &r.nodes[1]); err != nil {
		t.Fatal(err)
	}
	if got := r.sql(1, "SELECT active FROM pg_replication_slots WHERE slot_name = 'keeps_two'"); got != "t" {
		t.Errorf("the slot on the new primary: active %q", got)
	}
}

// TestUnreachable checks that an act on a node that is gone fails soon, with an error that names
// the act and the node.
// TestProgramReadsNothing checks that a command is sent nothing. If it were, one that ends before that would be an error.
func TestProgramReadsNothing(t *testing.T) {
	r := start(t, 0)
	err := r.does.on(r.ctx, &r.nodes[0], "run a program on", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		return program(ctx, c, "[ $(wc -c) -eq 0 ]")
	})
	if err != nil {
		t.Error(err)
	}
}

func TestUnreachable(t *testing.T) {
	r := start(t, 0)
	if err := r.herd.Kill(0); err != nil {
		t.Fatal(err)
	}
	if _, err := r.does.Revoke(r.ctx, &r.nodes[0]); err == nil || !strings.HasPrefix(err.Error(), "revoke acknowledgements of node 0: ") {
		t.Errorf("got error %v", err)
	}
}

// TestRights checks that what the user may not do is reported by the GRANT that would allow it, and
// for what it is needed; of what only a superuser may do before PostgreSQL 15, there always.
func TestRights(t *testing.T) {
	r := start(t, 1)
	old := r.sql(0, "SELECT current_setting('server_version_num')::int < 150000") == "t"
	r.sql(0, "CREATE ROLE watch LOGIN PASSWORD 'watch'; REVOKE TEMPORARY ON DATABASE "+herd.Database+" FROM PUBLIC; SELECT pg_create_physical_replication_slot('node1')")
	r.sql(1, "ALTER SYSTEM SET primary_slot_name = 'node1'")
	r.sql(1, "SELECT pg_reload_conf()")
	watch := New(nodesql.Access{User: "watch", Password: "watch", Database: herd.Database, SSLMode: "disable"})
	lacks := func(node int, needs ...Need) (words string) {
		t.Helper()
		if err := r.herd.WaitStreaming(r.ctx); err != nil {
			t.Fatal(err)
		}
		missing, err := watch.Rights(r.ctx, &r.nodes[node], needs...)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range missing {
			words += fmt.Sprintf("%s: %s\n", m.For, m.Grant)
		}
		return words
	}
	if got := lacks(0, ToFollow); got != "" {
		t.Errorf("where no slot is used: %s", got)
	}
	for _, c := range []struct {
		need   Need
		grants []string
		old    bool // the first can be granted from PostgreSQL 15 on
	}{
		{ToFailOver, []string{"GRANT ALTER SYSTEM ON PARAMETER primary_conninfo", "GRANT EXECUTE ON FUNCTION pg_promote", "GRANT EXECUTE ON FUNCTION pg_reload_conf"}, true},
		{ToWatch, []string{"GRANT pg_monitor"}, false},
		{ToFollow, []string{"ALTER ROLE ... REPLICATION"}, false},
		{ToSwitchOver, []string{"GRANT pg_checkpoint", "GRANT pg_execute_server_program"}, true},
		{ToRecover, []string{"GRANT TEMPORARY ON DATABASE"}, false},
	} {
		before := lacks(1, c.need)
		for i, grant := range c.grants {
			if !strings.Contains(before, string(c.need)+": "+grant) {
				t.Errorf("not missing is %s; missing is\n%s", grant, before)
			}
			sql := strings.NewReplacer("...", "watch", "DATABASE", "DATABASE "+herd.Database).Replace(grant)
			if strings.HasPrefix(sql, "GRANT") {
				sql += " TO watch"
			}
			if !(old && c.old && i == 0) {
				r.sql(0, sql)
			}
		}
		if n := strings.Count(before, "\n"); n != len(c.grants) {
			t.Errorf("%s: %d rights are missing:\n%s", c.need, n, before)
		}
		if after := lacks(1, c.need); (after != "") != (old && c.old) {
			t.Errorf("with all grants: %s", after)
		}
	}
	if missing, err := r.does.Rights(r.ctx, &r.nodes[0], ToWatch, ToFailOver, ToFollow, ToSwitchOver, ToRecover); err != nil || missing != nil {
		t.Errorf("a superuser: %v, %v", missing, err)
	}
}
