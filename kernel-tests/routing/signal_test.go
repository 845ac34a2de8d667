package routing_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// signals are the ways in which a statement names a process.
var signals = []struct {
	name string
	send func(conn *pgconn.PgConn, function string, pid uint32) (string, error)
}{
	{"in the text", func(conn *pgconn.PgConn, function string, pid uint32) (string, error) {
		return ask(conn, fmt.Sprintf("SELECT pg_catalog.%s(%d)", function, pid))
	}},
	{"bound as text", func(conn *pgconn.PgConn, function string, pid uint32) (string, error) {
		return bind(conn, "SELECT "+function+"($1)", nil, []byte(strconv.Itoa(int(pid))), 0)
	}},
	{"bound as bytes", func(conn *pgconn.PgConn, function string, pid uint32) (string, error) {
		return bind(conn, "SELECT "+function+"($1::bigint::int)", []uint32{20}, binary.BigEndian.AppendUint64(nil, uint64(pid)), 1)
	}},
	{"prepared", func(conn *pgconn.PgConn, function string, pid uint32) (string, error) {
		ctx, cancel := limited(answerLimit)
		defer cancel()
		if _, err := conn.Prepare(ctx, function, "SELECT "+function+"($1)", nil); err != nil {
			return "", err
		}
		return first(conn.ExecPrepared(ctx, function, [][]byte{binary.BigEndian.AppendUint32(nil, pid)}, []int16{1}, nil))
	}},
	{"in a block", func(conn *pgconn.PgConn, function string, pid uint32) (string, error) {
		if _, err := ask(conn, "BEGIN"); err != nil {
			return "", err
		}
		got, err := bind(conn, "SELECT "+function+"($1)", []uint32{23}, []byte(strconv.Itoa(int(pid))), 0)
		_, over := ask(conn, "COMMIT")
		return got, errors.Join(err, over)
	}},
}

func bind(conn *pgconn.PgConn, sql string, types []uint32, pid []byte, format int16) (string, error) {
	ctx, cancel := limited(answerLimit)
	defer cancel()
	return first(conn.ExecParams(ctx, sql, [][]byte{pid}, types, []int16{format}, nil))
}

func first(reader *pgconn.ResultReader) (string, error) {
	result := reader.Read()
	if result.Err != nil || len(result.Rows) != 1 {
		return "", errors.Join(result.Err, fmt.Errorf("got %d rows", len(result.Rows)))
	}
	return string(result.Rows[0][0]), nil
}

// pidOf waits for the process on a node that runs a statement with this marker, or has run it last.
func pidOf(t *testing.T, node int, marker string) (pid uint32) {
	t.Helper()
	eventually(t, marker+" is seen", func() error {
		out := on(t, node, "SELECT pid FROM pg_stat_activity WHERE query LIKE '%"+marker+"' AND state <> 'idle'")
		n, err := strconv.ParseUint(strings.TrimSpace(out), 10, 32)
		pid = uint32(n)
		return err
	})
	return pid
}

// up fails unless every node is up.
func up(t *testing.T, conn *pgconn.PgConn) {
	t.Helper()
	ctx, cancel := limited(answerLimit)
	defer cancel()
	results, err := conn.Exec(ctx, "SHOW POOL_NODES").ReadAll()
	if err != nil || len(results[0].Rows) != 3 {
		t.Fatalf("SHOW POOL_NODES: %v", err)
	}
	for _, row := range results[0].Rows {
		for i, field := range results[0].FieldDescriptions {
			if field.Name == "status" && string(row[i]) != "up" {
				t.Errorf("node %s is %s", row[0], row[i])
			}
		}
	}
}

// TestSignals checks that a signal reaches its process on whatever node that is. It ends that process's session and
// nothing else, and pgherd does not believe that the node is down.
func TestSignals(t *testing.T) {
	engines(t, func(t *testing.T, config string) {
		// A statement that comes when the catalog is due would go to the primary.
		proxy := start(t, config+"backend_weight0 = 0\ncatalog_check_period = 600\n")
		for node := 1; node <= 2; node++ {
			sender := connect(t, proxy)
			name := fmt.Sprint("node", node)
			sessions := sessionsOn(t, proxy, name, len(signals)+1)
			other := sessions[len(signals)]
			mustAsk(t, other, "BEGIN")
			mustAsk(t, other, "SELECT node()")
			for i, way := range signals {
				t.Run(name+"/"+way.name, func(t *testing.T) {
					canceled(t, sessions[i], node, func(pid uint32) (string, error) { return way.send(sender, "pg_cancel_backend", pid) })
					terminated(t, sessions[i], node, func(pid uint32) (string, error) { return way.send(sender, "pg_terminate_backend", pid) })
					if got := mustAsk(t, other, "SELECT node()"); got != name {
						t.Errorf("the other session's transaction is on %s", got)
					}
					up(t, sender)
				})
			}
		}
	})
}

// wantSent checks that PostgreSQL has sent the signal.
func wantSent(t *testing.T, got string, err error) {
	t.Helper()
	if err != nil || got != "t" {
		t.Errorf("the signal returned %q, error %v", got, err)
	}
}

func canceled(t *testing.T, victim *pgconn.PgConn, node int, send func(uint32) (string, error)) {
	t.Helper()
	marker, done := fmt.Sprintf("-- asleep %d", victim.PID()), make(chan error, 1)
	go func() {
		_, err := ask(victim, "SELECT pg_sleep(60) "+marker)
		done <- err
	}()
	got, err := send(pidOf(t, node, marker))
	wantSent(t, got, err)
	wantState(t, <-done, "57014")
	if got := mustAsk(t, victim, "SELECT node()"); got != fmt.Sprint("node", node) {
		t.Errorf("after the cancel the session's reads go to %s", got)
	}
}

func terminated(t *testing.T, victim *pgconn.PgConn, node int, send func(uint32) (string, error)) {
	t.Helper()
	marker := fmt.Sprintf("-- open %d", victim.PID())
	mustAsk(t, victim, "BEGIN")
	mustAsk(t, victim, "SELECT node() "+marker)
	got, err := send(pidOf(t, node, marker))
	wantSent(t, got, err)
	eventually(t, "the session ends", func() error {
		if _, err := ask(victim, "SELECT 1"); err == nil {
			return errors.New("the session still goes on")
		}
		return nil
	})
}

func wantState(t *testing.T, err error, code string) {
	t.Helper()
	if fault, ok := errors.AsType[*pgconn.PgError](err); !ok || fault.Code != code {
		t.Errorf("got %v, want SQLSTATE %s", err, code)
	}
}
