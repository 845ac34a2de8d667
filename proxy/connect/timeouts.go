package connect

import (
	"io"

	"pgherd/proxy/pool"
	"pgherd/proxy/worker"
)

// timeoutsSQL asks for the timeouts that pgherd must apply itself while a client has no
// server. Those that this release of PostgreSQL does not have are NULL.
const timeoutsSQL = "SELECT pg_catalog.current_setting('" + pool.IdleSessionTimeout + "', true), pg_catalog.current_setting('" +
	pool.IdleInTransactionTimeout + "', true), pg_catalog.current_setting('" + pool.TransactionTimeout + "', true)"

// learnTimeouts asks a server that has just logged in for its timeouts, and switches
// off the one that would end it while it is idle. Sessions switch it on again.
func learnTimeouts(conn io.ReadWriter, o *worker.Opened) error {
	rows, err := askOnce(conn, timeoutsSQL)
	if err != nil || len(rows) != 1 || len(rows[0]) != 3 {
		return err
	}
	values := rows[0]
	t := &o.Timeouts
	t.IdleSession, t.IdleInTransaction, t.Transaction = pool.Timeout(values[0]), pool.Timeout(values[1]), pool.Timeout(values[2])
	if t.IdleSession == 0 {
		return nil
	}
	_, err = askOnce(conn, pool.QuietSQL)
	o.Settings = o.Settings.Quiet()
	return err
}
