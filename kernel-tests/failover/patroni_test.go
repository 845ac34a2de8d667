package failover

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// patroni stands in for Patroni: the REST API of each node, and what all of them read from the
// DCS. The test does with nodes what Patroni would.
type patroni struct {
	*world
	apis [3]*httptest.Server

	lock     sync.Mutex // guards what follows
	silent   bool       // no API answers
	leader   int        // -1: nobody has the lock
	timeline int
}

// beside starts a world in which Patroni promotes, with node 0 as its leader.
func beside(t *testing.T, config ...string) *patroni {
	t.Helper()
	p := &patroni{world: scene{sync: anyOne, herd: herd.Settings{Config: []string{"full_page_writes = on"}}}.start(t), timeline: 1} // which pg_rewind needs
	config = append(config, "failover_mode = patroni", "admin_users = 'alice'")
	for i := range p.apis {
		p.apis[i] = httptest.NewServer(http.HandlerFunc(p.serve))
		t.Cleanup(p.apis[i].Close)
		config = append(config, fmt.Sprintf("patroni_url%d = '%s'", i, p.apis[i].URL))
	}
	p.world.set.Config += "\n" + strings.Join(config, "\n")
	p.restartProxy(func() {})
	p.allUp()
	return p
}

func (p *patroni) now(change func()) { p.lock.Lock(); defer p.lock.Unlock(); change() }

func (p *patroni) serve(w http.ResponseWriter, r *http.Request) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.silent || r.Method != http.MethodGet || r.URL.Path != "/cluster" {
		http.Error(w, "", http.StatusServiceUnavailable)
		return
	}
	var members []map[string]any
	for _, n := range p.herd.Nodes() {
		m := map[string]any{"name": fmt.Sprint("pg", n.Index), "role": "replica", "state": "streaming", "host": n.Host, "port": n.Port, "timeline": p.timeline, "lag": 0}
		if n.Index == p.leader {
			m["role"], m["state"] = "leader", "running"
		}
		members = append(members, m)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"members": members, "scope": "herd"})
}

// elect is what Patroni does when the leader is lost: the standby with the most WAL gets the lock,
// is promoted, and the other one follows it.
func (p *patroni) elect() (now int) {
	p.Helper()
	if now = 1; p.on(2, "SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn") > p.on(1, "SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn") {
		now = 2
	}
	p.now(func() { p.leader = now })
	p.on(now, "SELECT pg_promote()")
	other := 3 - now
	p.on(other, fmt.Sprintf("ALTER SYSTEM SET primary_conninfo = 'host=%s port=%d user=%s password=%[3]s application_name=node%d'",
		p.herd.Dir, p.herd.Nodes()[now].Port, herd.Superuser, other))
	p.on(other, "SELECT pg_reload_conf()")
	p.now(func() { p.timeline++ })
	return now
}

// promotedNobody fails the test if pgherd has changed anything on a node.
func (p *patroni) promotedNobody() {
	p.Helper()
	for _, act := range []string{"promote is done", "revoke is done", "ask is done", "follow is done", "demote is done"} {
		if strings.Contains(p.log(), "herd: "+act) {
			p.Errorf("pgherd's log has %q", act)
		}
	}
}

// TestPatroniFailover: the leader is killed while clients write. pgherd waits for Patroni to
// promote another; no session is lost, and no commit. The old leader is used again once Patroni
// has made a standby of it.
func TestPatroniFailover(t *testing.T) {
	t.Parallel()
	w := beside(t, "pool_mode = transaction")
	idle, writing := w.connect(), w.writes(4)
	w.ask(idle, "SET work_mem = '7MB'")
	sleepUntilWritten(w.world)
	w.must(w.herd.Slay(0))
	w.logs("herd: fail 0")
	w.logs("herd: fence is done")
	for _, n := range []int{1, 2} {
		w.shows(name(n), "up")
		if got := w.on(n, "SELECT pg_is_in_recovery()"); got != "t" {
			t.Errorf("node %d was promoted, and not by Patroni", n)
		}
	}
	now := w.elect()
	if got := w.promoted(0); got != now {
		t.Errorf("the primary is node %d, and Patroni's leader is node %d", got, now)
	}
	if got := w.ask(idle, "SHOW work_mem"); got != "7MB" {
		t.Errorf("an idle session has work_mem %s", got)
	}
	w.must(w.herd.Rewind(w.ctx, 0, now))
	w.allUp()
	writing.end(now)
	w.promotedNobody()
}

// TestPatroniGoesBack: the new leader is lost as well, and Patroni runs the old one on its old timeline.
// pgherd says that it does not take that by itself, and takes it when it is started with -D.
func TestPatroniGoesBack(t *testing.T) {
	t.Parallel()
	w := beside(t, "pool_mode = transaction")
	w.must(w.herd.Slay(0))
	now := w.elect()
	if got := w.promoted(0); got != now {
		t.Errorf("the primary is node %d, and Patroni's leader is node %d", got, now)
	}
	w.must(w.herd.Slay(now))
	w.must(w.herd.Slay(3 - now))
	w.must(w.herd.Restart(w.ctx, 0))
	w.on(0, "ALTER SYSTEM SET synchronous_standby_names = ''") // its standbys are lost
	w.on(0, "SELECT pg_reload_conf()")
	w.now(func() { w.leader, w.timeline = 0, 1 })
	w.logs("Patroni's leader node 0 is primary on timeline 1, not on a newer one than the herd's 2")
	w.restartProxy(func() { w.set.Options = []string{"-D"} })
	if got := w.promoted(now); got != 0 {
		t.Errorf("after a start with -D the primary is node %d", got)
	}
	w.promotedNobody()
}

// TestPatroniSwitchover: patronictl switchover, with a leader that stops cleanly and has no lock for a
// while. pgherd's own orders for that are refused.
func TestPatroniSwitchover(t *testing.T) {
	t.Parallel()
	w := beside(t, "pool_mode = session")
	operator, writing := w.connect(), w.writes(4)
	sleepUntilWritten(w.world)
	for order, tool := range map[string]string{"SWITCHOVER 1": "patronictl switchover", "PROMOTE 1": "patronictl failover", "RECOVER 1": "patronictl reinit"} {
		if _, err := herdtest.Ask(operator, order); code(operator, err) != "55000" || !strings.Contains(hint(err), tool) {
			t.Errorf("%s: %v, hint %q", order, err, hint(err))
		}
	}
	w.ask(operator, "DETACH 2")
	w.shows("node2", "down")
	w.ask(operator, "ATTACH 2")
	w.shows("node2", "up")
	w.now(func() { w.leader = -1 })
	w.logs("Patroni has no leader")
	w.must(w.herd.Shutdown(0))
	now := w.elect()
	w.promoted(0)
	writing.end(now)
	w.promotedNobody()
}

// TestPatroniOldLeaderLives: Patroni takes the lock from a leader that lives on. None of its servers gets
// a statement after that, and no commit is acknowledged that the new leader has not.
func TestPatroniOldLeaderLives(t *testing.T) {
	t.Parallel()
	w := beside(t, "pool_mode = transaction")
	inside, writing := w.connect(), w.writes(4)
	w.ask(inside, "BEGIN")
	w.ask(inside, "INSERT INTO ledger VALUES (1)")
	sleepUntilWritten(w.world)
	w.now(func() { w.leader = -1 })
	w.logs("herd: fence is done node=0")
	for _, n := range []int{1, 2} { // the old leader is cut off from them
		w.on(n, "ALTER SYSTEM SET primary_conninfo = ''")
		w.on(n, "SELECT pg_reload_conf()")
		w.eventually(name(n)+" receives nothing", func() error {
			if got := w.on(n, "SELECT count(*) FROM pg_stat_wal_receiver"); got != "0" {
				return fmt.Errorf("receivers: %s", got)
			}
			return nil
		})
	}
	now := w.elect()
	w.promoted(0)
	w.shows("node0", "quarantine")
	if _, err := herdtest.Ask(inside, "COMMIT"); code(inside, err) != "40001" {
		t.Errorf("a transaction on the old leader: %v", err)
	}
	writing.end(now)
	w.promotedNobody()
}

// TestPatroniIsSilent: without Patroni's word the primary stays, whoever else is promoted.
func TestPatroniIsSilent(t *testing.T) {
	t.Parallel()
	w := beside(t, "pool_mode = transaction")
	conn := w.connect()
	w.ask(conn, "INSERT INTO ledger VALUES (1)")
	w.restartProxy(func() { w.now(func() { w.silent = true }) })
	w.logs("node 0 is primary, as the status file says; Patroni does not answer")
	conn = w.connect()
	w.logs("Patroni does not answer: node 0 stays the primary")
	w.eventually("SHOW POOL_PATRONI tells that nobody answers", func() error {
		results, err := w.eye.Exec(w.ctx, "SHOW POOL_PATRONI").ReadAll()
		if err != nil {
			return err
		}
		for _, row := range results[0].Rows {
			if string(row[2]) != "no" || !strings.Contains(string(row[13]), "503") {
				return fmt.Errorf("%q", row)
			}
		}
		return nil
	})
	w.on(1, "SELECT pg_promote()")
	w.shows("node1", "quarantine")
	w.ask(conn, "INSERT INTO ledger VALUES (2)")
	w.stays(conn)
	w.now(func() { w.silent = false })
	w.logs("Patroni answers again")
	w.ask(conn, "INSERT INTO ledger VALUES (3)")
	w.stays(conn)
	w.promotedNobody()
	if n := strings.Count(w.log(), "node 0 stays the primary"); n != 1 {
		t.Errorf("the log tells %d times that the primary stays", n)
	}
}

// TestPatroniGivesTheLockBack: a leader has no lock for a moment, as without a DCS. In session mode a session's server of
// the primary is set aside between two transactions, and lost then; the session goes on with another one.
func TestPatroniGivesTheLockBack(t *testing.T) {
	t.Parallel()
	w := beside(t, "pool_mode = session", "load_balance_mode = on")
	conn := w.connect()
	w.on(0, "INSERT INTO ledger VALUES (1)")
	w.ask(conn, "UPDATE ledger SET id = 2")
	w.now(func() { w.leader = -1 })
	w.logs("herd: fence is done node=0")
	w.now(func() { w.leader = 0 })
	w.logs("herd: back 0")
	w.ask(conn, "UPDATE ledger SET id = 3")
	if got := w.on(0, "SELECT id FROM ledger"); got != "3" {
		t.Errorf("the table has row %s", got)
	}
	w.promotedNobody()
}
