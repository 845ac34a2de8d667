package failover

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// TestAsynchronous checks that without synchronous replication the standby with the most WAL is promoted.
// Acknowledged writes may be lost, as with PostgreSQL itself. Writes that were reported as not done are not done,
// and no client is disconnected.
func TestAsynchronous(t *testing.T) {
	t.Parallel()
	w := scene{sync: none, config: []string{"pool_mode = transaction"}}.start(t)
	w.allUp()
	writing := w.writes(4)
	writing.mayLose = true
	sleepUntilWritten(w)
	w.must(w.herd.Slay(0))
	writing.end(w.promoted(0))
}

// gap kills the primary and a standby, so that no node is promoted until over starts the standby again. Requests
// wait meanwhile. The primary is frozen before, because it could still tell that the standby is gone, and that another
// one has to acknowledge now, which might then be promoted.
func (w *world) gap() (over func()) {
	w.Helper()
	w.must(w.herd.Freeze(0))
	w.must(w.herd.Slay(1))
	w.must(w.herd.Slay(0))
	w.logs("no promotion: ")
	return func() { w.Helper(); w.must(w.herd.Restart(w.ctx, 1)) }
}

// gapLasts is the time for which a test lets the gap last, so that clients wait in it.
const gapLasts = 300 * time.Millisecond

// later runs do while the test goes on.
func later(do func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	return done
}

// TestWhileThereIsNoPrimary checks that log-ins wait and succeed, and that a statement that waits can be canceled,
// and otherwise runs in the end. A client that is idle in a transaction gets the error with its next statement.
func TestWhileThereIsNoPrimary(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := scene{sync: firstOne, config: []string{"pool_mode = " + mode}}.start(t)
			w.allUp()
			waits, cancels, idles, rolls := w.connect(), w.connect(), w.connect(), w.connect()
			for _, conn := range []*pgconn.PgConn{idles, rolls} {
				w.ask(conn, "BEGIN")
				w.ask(conn, "SELECT count(*) FROM ledger")
			}
			over := w.gap()
			ask := func(conn *pgconn.PgConn, sql string) <-chan error {
				return later(func() error { _, err := herdtest.Ask(conn, sql); return err })
			}
			waiting, canceled := ask(waits, "INSERT INTO ledger VALUES (1)"), ask(cancels, "INSERT INTO ledger VALUES (2)")
			var logins []<-chan error
			for i := range 10 {
				logins = append(logins, later(func() error {
					conn, err := herdtest.Connect(w.dsn())
					if err == nil {
						_, err = herdtest.Ask(conn, fmt.Sprintf("INSERT INTO ledger VALUES (%d)", 100+i))
						herdtest.Close(conn)
					}
					return err
				}))
			}
			time.Sleep(gapLasts)
			w.must(cancels.CancelRequest(w.ctx))
			if got := code(cancels, <-canceled); got != "57014" {
				t.Errorf("a statement that was canceled while it waited: got %q", got)
			}
			over()
			if err := <-waiting; err != nil {
				t.Errorf("a statement that waited: got error %v", err)
			}
			for _, login := range logins {
				if err := <-login; err != nil {
					t.Errorf("a log-in that waited: got error %v", err)
				}
			}
			wantCode(t, idles, "INSERT INTO ledger VALUES (51)", "40001")
			wantCode(t, idles, "SELECT 1", "25P02")
			w.ask(idles, "ROLLBACK")
			w.ask(rolls, "ROLLBACK")
			for _, conn := range []*pgconn.PgConn{idles, rolls, cancels} {
				w.ask(conn, "SELECT 1")
			}
			if got := w.ask(waits, "SELECT count(*) || ' ' || min(id) || ' ' || max(id) FROM ledger"); got != "11 1 109" {
				t.Errorf("the ledger has %s", got)
			}
		})
	}
}

// slow is a reader that returns its bytes slowly, until it is told to end.
type slow struct {
	row  int
	stop <-chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	select {
	case <-s.stop:
		return 0, io.EOF
	case <-time.After(pace):
	}
	s.row++
	return copy(p, fmt.Sprintf("%d\n", 10_000+s.row)), nil
}

// TestCopyGetsAnError checks that a COPY under way, in either direction, gets an error. None of its rows are in the
// table, and the client stays connected, unless half a message was passed on.
func TestCopyGetsAnError(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := start(t, "pool_mode = "+mode)
			w.allUp()
			in, out, stop := w.connect(), w.connect(), make(chan struct{})
			copied := later(func() error {
				_, err := in.CopyFrom(w.ctx, &slow{stop: stop}, "COPY ledger FROM STDIN")
				return err
			})
			sent := later(func() error {
				_, err := out.CopyTo(w.ctx, &bytes.Buffer{}, "COPY (SELECT repeat('x', 1000), pg_sleep(0.01) FROM generate_series(1, 1000)) TO STDOUT")
				return err
			})
			time.Sleep(gapLasts)
			w.must(w.herd.Slay(0))
			err := <-sent
			if got := code(out, err); got != "40001" && !strings.HasPrefix(got, "lost") {
				t.Errorf("COPY TO STDOUT: got %q", got)
			}
			err = <-copied // this comes before the end of the data is sent; after that, the outcome would not be known
			close(stop)
			if got := code(in, err); got != "40001" {
				t.Errorf("COPY FROM STDIN: got %q", got)
			}
			now := w.promoted(0)
			for _, conn := range []*pgconn.PgConn{in, out} {
				if conn == out && out.IsClosed() {
					continue // half a row had been passed on
				}
				if got := w.primary(conn); got != name(now) {
					t.Errorf("after COPY the primary is %s", got)
				}
			}
			if got := w.ask(in, "SELECT count(*) FROM ledger WHERE id > 10000"); got != "0" {
				t.Errorf("%s rows of a failed COPY are there", got)
			}
		})
	}
}

// TestNodesWithTLS checks that all connections to nodes are by TLS, including those of pgherd itself.
func TestNodesWithTLS(t *testing.T) {
	t.Parallel()
	w := scene{
		herd: herd.Settings{TLS: true, HBA: []string{"hostssl all all 127.0.0.1/32 scram-sha-256", "hostssl replication all 127.0.0.1/32 scram-sha-256"}}, sync: anyOne,
		config: []string{"pool_mode = transaction", "server_tls_sslmode = require"},
	}.start(t)
	w.allUp()
	idle, writing := w.connect(), w.writes(3)
	w.ask(idle, "SET work_mem = '7MB'")
	sleepUntilWritten(w)
	w.must(w.herd.Slay(0))
	now := w.promoted(0)
	if got := w.ask(idle, "SELECT ssl::text || current_setting('work_mem') FROM pg_stat_ssl WHERE pid = pg_backend_pid()"); got != "true7MB" {
		t.Errorf("the session's setting is %s", got)
	}
	w.shows(name(3-now), "up")
	writing.end(now)
}
