package leaks_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// stage has the clients' database, and the twins' one, which is a copy. Advisory locks, notifications, sequences and rows
// belong to a database, so twins and clients do not affect each other.
type stage struct{ clients, twins string }

// On the sly stage, operators, types and aggregates run statements, too. It is apart from the other one, because a proxy
// may have to be careful with every statement there.
var (
	plain = stage{"app", "twin"}
	sly   = stage{"sly", "slytwin"}
)

const pollEvery = 5 * time.Millisecond

// arena is where scripts are run.
type arena struct {
	address   string        // the address to which clients connect
	direct    string        // the address to which twins connect
	prepared  bool          // pg_prepared_statements are compared, too
	leaveTime time.Duration // deadline for a client's locks to end once it has left
	renew     func() error  // begins to replace the servers that clients share
	reload    func() error  // makes pgherd read its configuration again

	stage          stage
	clients, twins *pgconn.PgConn // connections of a superuser, one to each database
}

// openAside connects as superuser, for what the test itself needs.
func openAside(address, database string) (*pgconn.PgConn, error) {
	return herdtest.Connect(fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable&application_name=aside", address, database))
}

func closeAside(conn *pgconn.PgConn) {
	if conn != nil {
		herdtest.Close(conn)
	}
}

var ask = herdtest.Ask

// prepare connects the superusers to a stage.
func (a *arena) prepare(on stage) (err error) {
	if a.stage == on {
		return nil
	}
	a.close()
	if a.clients, err = openAside(a.direct, on.clients); err != nil {
		return err
	}
	a.stage = on
	a.twins, err = openAside(a.direct, on.twins)
	return err
}

func (a *arena) close() {
	closeAside(a.clients)
	closeAside(a.twins)
	a.stage, a.clients, a.twins = stage{}, nil, nil
}

// define has another user define something, by a client of pgherd's in the clients' database. If a client reads a view in
// an open transaction, it has that locked, as its twin does; then the view stays.
func (a *arena) define(sql string) error {
	conn := a.clients
	if a.reload != nil { // this arena runs pgherd
		other, err := herdtest.Connect(fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", herd.UserMD5, a.address, a.stage.clients))
		if err != nil {
			return err
		}
		defer herdtest.Close(other)
		conn = other
	}
	locked, err := defineOn(conn, sql)
	lockedToo, err2 := defineOn(a.twins, sql)
	if err := errors.Join(err, err2); err != nil || locked == lockedToo {
		return err
	}
	return fmt.Errorf("%s: locked for the clients %v, for the twins %v", sql, locked, lockedToo)
}

func defineOn(conn *pgconn.PgConn, sql string) (locked bool, err error) {
	if _, err := ask(conn, "SET lock_timeout = '500ms'"); err != nil {
		return false, err
	}
	_, err = ask(conn, sql)
	if fault, ok := errors.AsType[*pgconn.PgError](err); ok && fault.Code == "55P03" {
		return true, nil
	}
	return false, err
}

// both runs a statement in both databases.
func (a *arena) both(sql string) error {
	_, err := ask(a.clients, sql)
	_, err2 := ask(a.twins, sql)
	return errors.Join(err, err2)
}

// until polls both databases until sql answers want, and returns what is left at the end.
func (a *arena) until(sql, want string, limit time.Duration) (left string, err error) {
	for _, conn := range []*pgconn.PgConn{a.clients, a.twins} {
		for deadline := time.Now().Add(limit); ; time.Sleep(pollEvery) {
			if left, err = ask(conn, sql); err != nil || left == want {
				break
			}
			if time.Now().After(deadline) {
				return left, nil
			}
		}
	}
	return "", err
}

const (
	others = `FROM pg_stat_activity WHERE datname = current_database() AND application_name <> 'aside'` +
		` AND backend_type = 'client backend'`
	emptyTables = `TRUNCATE orders1, orders2, orders3, ruled, defaulted;` +
		`SELECT setval('s1', 1, false), setval('s2', 1, false), setval('s3', 1, false)`
)

// fresh makes every run begin in the same state, with servers that have not been used and tables without rows.
func (a *arena) fresh(on stage) error {
	if err := a.prepare(on); err != nil {
		return err
	}
	before, err := ask(a.clients, "SELECT coalesce(string_agg(pid::text, ','), '0') "+others)
	if err != nil {
		return err
	}
	if err := a.renew(); err != nil {
		return err
	}
	left, err := a.until("SELECT count(*) "+others+" AND pid IN ("+before+")", "0", answerLimit)
	if err != nil {
		return err
	}
	if left != "" {
		return fmt.Errorf("renew the servers: %s old ones are left after %v", left, answerLimit)
	}
	return a.both(emptyTables)
}

// gone waits until the next client cannot see anything of a client that has left.
func (a *arena) gone(n int) (left string, err error) {
	return a.until(fmt.Sprintf(`SELECT l.locktype || ' lock ' || mode || ' ' || coalesce(relation::regclass::text, objid::text) FROM pg_locks l`+
		` WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())`+
		` AND (locktype = 'advisory' AND objid BETWEEN %[1]d00 AND %[1]d99`+
		` OR locktype = 'relation' AND relation IN ('orders%[1]d'::regclass, 's%[1]d'::regclass))`, n), "", a.leaveTime)
}

// level makes the rows and the sequence of client n equal in both databases again.
func (a *arena) level(n, refusals int) error {
	return a.both(fmt.Sprintf("DELETE FROM orders%[1]d; DELETE FROM defaulted WHERE y = %[1]d; SELECT setval('s%[1]d', %[2]d000, false)", n, refusals))
}
