package failover

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd/herdtest"
)

// These functions return what pgherd and its clients see of the nodes.

// code is the SQLSTATE of an error, "" if there is none, or "lost" if the connection has ended.
func code(conn *pgconn.PgConn, err error) string {
	f, told := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return ""
	case !told || conn.IsClosed():
		return "lost: " + err.Error()
	}
	return f.Code
}

// hint is what an error says may help.
func hint(err error) string {
	if f, told := errors.AsType[*pgconn.PgError](err); told {
		return f.Hint
	}
	return ""
}

// seen is a row of SHOW POOL_NODES.
type seen struct {
	status, role, reason string
	reads                int // number of reads that were sent to the node
}

// nodes is the answer of SHOW POOL_NODES.
func (w *world) nodes() map[string]seen {
	w.Helper()
	results, err := w.eye.Exec(w.ctx, "SHOW POOL_NODES").ReadAll()
	w.must(err)
	all := map[string]seen{}
	for _, row := range results[0].Rows {
		column := map[string]string{}
		for i, f := range results[0].FieldDescriptions {
			column[f.Name] = string(row[i])
		}
		reads, _ := strconv.Atoi(column["select_cnt"])
		all["node"+column["node_id"]] = seen{column["status"], column["role"], column["reason"], reads}
	}
	return all
}

// shows waits until SHOW POOL_NODES has a node in this status, and returns its row.
func (w *world) shows(node string, statuses ...string) (is seen) {
	w.Helper()
	w.eventually(node+" is "+strings.Join(statuses, " or "), func() error {
		is = w.nodes()[node]
		for _, s := range statuses {
			if is.status == s {
				return nil
			}
		}
		return fmt.Errorf("the node is %+v", is)
	})
	return is
}

// allUp waits until pgherd uses all nodes.
func (w *world) allUp() {
	w.Helper()
	for i := range w.herd.Nodes() {
		w.shows(name(i), "up")
	}
}

func name(node int) string { return fmt.Sprint("node", node) }

// primary is the name of the node to which pgherd sends writes. The question is repeated if the node is lost
// meanwhile.
func (w *world) primary(conn *pgconn.PgConn) (name string) {
	w.Helper()
	w.eventually("the primary answers", func() (err error) {
		name, err = herdtest.Ask(conn, "SELECT current_setting('cluster_name')")
		if strings.HasPrefix(code(conn, err), "lost") {
			w.Fatalf("a client is disconnected: %v", err)
		}
		return err
	})
	return name
}

func number(name string) int { return int(name[len(name)-1] - '0') }

// stays fails the test if a node was promoted, or another primary was found.
func (w *world) stays(conn *pgconn.PgConn) {
	w.Helper()
	if got := w.primary(conn); got != "node0" {
		w.Errorf("the primary has changed: it is %s", got)
	}
	if log := w.log(); strings.Contains(log, "herd: fail ") || strings.Contains(log, "herd: candidate ") {
		w.Error("there was a failover")
	}
}

// writesAgain inserts rows until one is acknowledged, and returns the name of the primary. One request that was sent
// to the lost primary may fail.
func (w *world) writesAgain(conn *pgconn.PgConn) string {
	w.Helper()
	w.eventually("a write is acknowledged", func() error {
		_, err := herdtest.Ask(conn, "INSERT INTO ledger SELECT coalesce(max(id), 0) + 1 FROM ledger WHERE id < 1000")
		if strings.HasPrefix(code(conn, err), "lost") {
			w.Fatalf("a client that writes is disconnected: %v", err)
		}
		return err
	})
	return w.primary(conn)
}

// promoted waits until a node takes writes that is none of these, and returns its number.
func (w *world) promoted(lost ...int) int {
	w.Helper()
	got := number(w.writesAgain(w.connect()))
	if slices.Contains(lost, got) {
		w.Fatalf("the primary is node %d, which is lost", got)
	}
	return got
}
