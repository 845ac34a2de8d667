package patroni

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd/herdtest"
)

// roles: writes go to Patroni's leader, and reads to both standbys.
func roles(t *testing.T, c *cluster) {
	w := c.inFront(t)
	leader, conn := w.mustLead(), w.connect()
	if got := w.primary(conn); got != leader {
		t.Errorf("writes go to node %d, and Patroni's leader is node %d", got, leader)
	}
	w.eventually("reads go to both standbys", func() error {
		for range 10 {
			w.ask(w.connect(), "SELECT count(*) FROM ledger")
		}
		for _, row := range w.rows("SHOW POOL_NODES") {
			n, _ := strconv.Atoi(row["node_id"])
			if reads, _ := strconv.Atoi(row["select_cnt"]); reads == 0 && n != leader {
				return fmt.Errorf("%v", row)
			}
		}
		return nil
	})
	w.eventually("SHOW POOL_PATRONI tells what Patroni does", func() error { return sameAsPatroni(w) })
}

// sameAsPatroni compares SHOW POOL_PATRONI with what patronictl lists.
func sameAsPatroni(w *world) error {
	list, err := w.list()
	if err != nil {
		return err
	}
	roles := map[string]string{"Leader": "leader", "Sync Standby": "sync_standby", "Replica": "replica"}
	for i, row := range w.rows("SHOW POOL_PATRONI") {
		l := list[i]
		if row["member"] != l.Member || row["role"] != roles[l.Role] || row["state"] != l.State || row["timeline"] != fmt.Sprint(l.TL) || row["leader"] != name(w.mustLead()) {
			return fmt.Errorf("%v, and Patroni has %+v", row, l)
		}
	}
	return nil
}

// switchover: clients stay connected, and go on with the leader that patronictl names.
func switchover(t *testing.T, c *cluster) {
	w := c.inFront(t)
	idle, writing := w.connect(), w.writes()
	w.ask(idle, "SET work_mem = '7MB'")
	leader, candidate := w.mustLead(), w.standbys()[0]
	w.does("switchover", "--leader", name(leader), "--candidate", name(candidate), "--force")
	if got := w.another(leader); got != candidate {
		t.Errorf("writes go to node %d, and patronictl has named node %d", got, candidate)
	}
	w.more(20)
	keeps(w, idle)
	w.allUp()
	writing.end(candidate)
}

// leaderIsKilled: Patroni and PostgreSQL of the leader are killed. Patroni promotes another, and the old
// leader comes back as a standby.
func leaderIsKilled(t *testing.T, c *cluster) {
	w := c.inFront(t)
	idle, inside, writing := w.connect(), w.connect(), w.writes()
	w.ask(idle, "SET work_mem = '7MB'")
	w.ask(inside, "BEGIN")
	w.ask(inside, "INSERT INTO ledger VALUES (999999)")
	leader := w.mustLead()
	w.done(w.all[leader].slay())
	now := w.another(leader)
	if patronis := w.mustLead(); now != patronis {
		t.Errorf("writes go to node %d, and Patroni's leader is node %d", now, patronis)
	}
	if err := refused(inside); err != nil {
		t.Error(err)
	}
	keeps(w, idle)
	w.done(w.all[leader].start(t.Context()))
	w.allUp()
	writing.end(now)
}

// leaderRestarts: PostgreSQL of the leader is restarted by patronictl, and the leader keeps its lock.
func leaderRestarts(t *testing.T, c *cluster) {
	w := c.inFront(t)
	idle, writing := w.connect(), w.writes()
	w.ask(idle, "SET work_mem = '7MB'")
	leader := w.mustLead()
	w.does("restart", "herd", name(leader), "--force")
	if got := w.primary(idle); got != leader {
		t.Errorf("writes go to node %d, and not to node %d", got, leader)
	}
	w.more(20)
	keeps(w, idle)
	w.allUp()
	writing.end(leader)
}

// silent: every Patroni is stopped, and a node is promoted that Patroni does not name. Nobody else becomes primary
// before a REST API answers.
func silent(t *testing.T, c *cluster) {
	w := c.inFront(t)
	conn, leader, imposter := w.connect(), w.mustLead(), w.standbys()[1]
	w.primary(conn)
	for _, m := range w.all {
		w.done(m.signal(syscall.SIGSTOP))
	}
	w.logs(fmt.Sprintf("Patroni does not answer: node %d stays the primary", leader))
	w.answers("no")
	w.must(w.all[imposter].ask("SELECT pg_promote()"))
	w.shows(imposter, "quarantine")
	if got := w.primary(conn); got != leader {
		t.Errorf("writes go to node %d, and Patroni has named node %d", got, leader)
	}
	for _, m := range w.all {
		w.done(m.signal(syscall.SIGCONT))
	}
	w.logs("Patroni answers again")
	w.reinit(imposter)
	w.whole(t)
	w.allUp()
	if got, now := w.primary(conn), w.mustLead(); got != now {
		t.Errorf("writes go to node %d, and Patroni's leader is node %d", got, now)
	}
}

// paused: the leader's Patroni is lost in maintenance mode. The lock expires, and PostgreSQL goes on as
// primary.
func paused(t *testing.T, c *cluster) {
	w := c.inFront(t)
	conn, leader := w.connect(), w.mustLead()
	w.does("pause", "--wait")
	w.done(w.all[leader].signal(syscall.SIGSTOP))
	w.eventually("no REST API has a leader", func() error {
		for i, row := range w.rows("SHOW POOL_PATRONI") {
			if i != leader && (row["leader"] != "" || row["pause"] == "no") {
				return fmt.Errorf("%v", row)
			}
		}
		return nil
	})
	if got := w.primary(conn); got != leader {
		t.Errorf("writes go to node %d, and not to node %d", got, leader)
	}
	w.done(w.all[leader].signal(syscall.SIGCONT))
	w.does("resume", "--wait")
	w.whole(t)
	w.allUp()
}

// withoutDCS: etcd is stopped. The leader gives up being one, and clients wait until etcd is there again.
func withoutDCS(t *testing.T, c *cluster) {
	w := c.inFront(t)
	idle, writing := w.connect(), w.writes()
	w.ask(idle, "SET work_mem = '7MB'")
	leader := w.mustLead()
	w.done(syscall.Kill(w.etcd.PID(), syscall.SIGSTOP))
	w.eventually("the leader is a standby", func() error {
		got, err := w.all[leader].ask("SELECT pg_is_in_recovery()")
		if err != nil || got != "t" {
			return fmt.Errorf("in recovery: %s, %w", got, err)
		}
		return nil
	})
	w.logs(fmt.Sprintf("herd: fail %d", leader))
	w.done(syscall.Kill(w.etcd.PID(), syscall.SIGCONT))
	now := w.primary(w.connect())
	w.more(20)
	keeps(w, idle)
	w.whole(t)
	w.allUp()
	writing.end(now, "25006") // of a node that is a standby since a moment
}

// failsafe: etcd is stopped for longer than a lock lasts. With failsafe_mode the leader goes on, as all members are
// there, and so does pgherd. The lock has expired when etcd is back, so clients may wait until the leader has it again.
func failsafe(t *testing.T, c *cluster) {
	w := c.inFront(t)
	w.does("edit-config", "herd", "--set", "failsafe_mode=true", "--force")
	leader, writing := w.mustLead(), w.writes()
	w.eventually("all Patronis have failsafe_mode", func() error {
		for _, m := range w.all {
			response, err := http.Get(m.url() + "/failsafe")
			if err != nil {
				return err
			}
			if response.Body.Close(); response.StatusCode != http.StatusOK {
				return errors.New(m.name() + " answers " + response.Status)
			}
		}
		return nil
	})
	w.done(syscall.Kill(w.etcd.PID(), syscall.SIGSTOP))
	w.answers("no")
	w.eventually("the leader goes on without etcd", func() error {
		return w.all[leader].logs("continue to run as a leader because failsafe mode is enabled")
	})
	w.more(20)
	w.done(syscall.Kill(w.etcd.PID(), syscall.SIGCONT))
	w.whole(t)
	w.allUp()
	writing.end(leader)
	if strings.Contains(w.decided(), "candidate ") {
		t.Error("another node was to become primary")
	}
}

// keeps fails the test if a session has lost what its client has set.
func keeps(w *world, conn *pgconn.PgConn) {
	w.Helper()
	if got := w.ask(conn, "SHOW work_mem"); got != "7MB" {
		w.Errorf("an idle session has work_mem %s", got)
	}
}

// refused returns no error if a transaction that was lost cannot be committed.
func refused(conn *pgconn.PgConn) error {
	if _, err := herdtest.Ask(conn, "COMMIT"); code(conn, err) != "40001" {
		return fmt.Errorf("a transaction on the old leader: %w", err)
	}
	return nil
}
