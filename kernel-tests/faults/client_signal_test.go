package faults_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// signalWays are the ways in which a statement names the process.
var signalWays = map[string]func(conn *pgconn.PgConn, function string, number uint32) (string, error){
	"simple": func(conn *pgconn.PgConn, function string, number uint32) (string, error) {
		return ask(conn, fmt.Sprintf("SELECT %s(%d)", function, number))
	},
	"extended": func(conn *pgconn.PgConn, function string, number uint32) (string, error) {
		return asked(conn, fmt.Sprintf("SELECT %s(%d)", function, number), nil, 0)
	},
	"bound as text": func(conn *pgconn.PgConn, function string, number uint32) (string, error) {
		return asked(conn, "SELECT "+function+"($1)", []byte(strconv.Itoa(int(number))), 0)
	},
	"bound as bytes": func(conn *pgconn.PgConn, function string, number uint32) (string, error) {
		return asked(conn, "SELECT "+function+"($1::int)", binary.BigEndian.AppendUint32(nil, number), 1)
	},
}

// asked runs a statement in the extended protocol, with one parameter or none.
func asked(conn *pgconn.PgConn, sql string, value []byte, format int16) (string, error) {
	ctx, cancel := limited(answerLimit)
	defer cancel()
	var values [][]byte
	if value != nil {
		values = [][]byte{value}
	}
	result := conn.ExecParams(ctx, sql, values, nil, []int16{format}, nil).Read()
	if result.Err != nil || len(result.Rows) != 1 {
		return "", result.Err
	}
	return string(result.Rows[0][0]), nil
}

// TestSignalToAClient checks that a signal to the number that a client was told reaches the server that the client has
// at that moment. It concerns this session and no other, even if the client has no server.
func TestSignalToAClient(t *testing.T) {
	for _, balanced := range []bool{false, true} {
		t.Run(fmt.Sprint("balanced ", balanced), func(t *testing.T) {
			engines(t, func(t *testing.T, engine string) {
				settings := herd.ProxySettings{Config: "io_engine = " + engine + "\npool_mode = transaction\n"}
				if balanced {
					settings.Nodes = world.herd.Nodes()
				}
				proxy := startProxy(t, settings)
				bystander := connect(t, proxy)
				mustAsk(t, bystander, "BEGIN")
				mustAsk(t, bystander, "SELECT 1")
				for name, send := range signalWays {
					t.Run(name, func(t *testing.T) { signalsClients(t, proxy, send) })
				}
				mustAsk(t, bystander, "COMMIT")
			})
		})
	}
}

func signalsClients(t *testing.T, proxy *herd.Proxy, send func(*pgconn.PgConn, string, uint32) (string, error)) {
	sender := connect(t, proxy)
	sent := func(function string, number uint32) {
		t.Helper()
		if got, err := send(sender, function, number); err != nil || got != "t" {
			t.Errorf("%s: got %q, error %v", function, got, err)
		}
	}
	victim := connect(t, proxy)
	sleeper := make(chan error, 1)
	go func() {
		_, err := ask(victim, asleep+" /* "+strconv.Itoa(int(victim.PID()))+" */")
		sleeper <- err
	}()
	eventually(t, "it sleeps", func() error { return sleeps(victim.PID()) })
	sent("pg_cancel_backend", victim.PID())
	wantState(t, <-sleeper, "57014")
	mustAsk(t, victim, "SELECT 1")
	sent("pg_cancel_backend", victim.PID()) // no statement runs there
	mustAsk(t, victim, "SELECT 1")
	sent("pg_terminate_backend", victim.PID()) // the client has no server
	endsWith(t, victim, "57P01")

	inside := connect(t, proxy)
	mustAsk(t, inside, "BEGIN")
	mustAsk(t, inside, "SELECT 1")
	sent("pg_terminate_backend", inside.PID())
	endsWith(t, inside, "57P01")

	super := connectAs(t, proxy, herd.Superuser, "")
	if _, err := send(sender, "pg_terminate_backend", super.PID()); sqlstate(err) != "42501" {
		t.Errorf("a signal to a superuser: got error %v", err)
	}
	mustAsk(t, super, "SELECT 1")
	if got, err := send(sender, "pg_cancel_backend", 1<<30); err != nil || got != "f" {
		t.Errorf("a number that no process has: got %q, error %v", got, err)
	}
	_, err := send(sender, "pg_terminate_backend", sender.PID())
	wantState(t, err, "57P01")
}

// sleeps returns nil if a node runs the client's statement.
func sleeps(number uint32) error {
	ctx, cancel := limited(answerLimit)
	defer cancel()
	sql := fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%/* %d */' AND state = 'active' AND pid <> pg_backend_pid()", number)
	for node := range 2 {
		if got, err := world.herd.ExecOn(ctx, node, sql); err != nil || strings.TrimSpace(got) == "1" {
			return err
		}
	}
	return errors.New("no node runs the client's statement")
}
