package faults_test

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"pgherd/bench/herd"
)

// behindTimes is the number of cancels that are sent right behind their statement, in each way.
const behindTimes = 60

// asleep is the statement. It would sleep for longer than the test waits.
const asleep = "SELECT pg_sleep(600)"

// extendedly is a query in the extended protocol.
func extendedly(sql string) []byte {
	b := message('P', append(append([]byte{0}, sql...), 0, 0, 0)...)
	b = append(b, message('B', 0, 0, 0, 0, 0, 0, 0, 0)...)
	b = append(b, message('E', 0, 0, 0, 0, 0)...)
	return append(b, message('S')...)
}

// TestCancelRightBehind checks that a cancel that is sent right behind its statement cancels that statement, whatever
// pgherd has to do before it runs, and nothing that is sent later.
func TestCancelRightBehind(t *testing.T) {
	modes := map[string]string{
		"session":     "pool_mode = session\n",
		"transaction": "pool_mode = transaction\n",
		"one server":  "pool_mode = transaction\ndefault_pool_size = 1\n",
		"balanced":    "pool_mode = transaction\n",
	}
	for mode, config := range modes {
		t.Run(mode, func(t *testing.T) {
			engines(t, func(t *testing.T, engine string) {
				settings := herd.ProxySettings{HBA: trustHBA, Config: "io_engine = " + engine + "\n" + config}
				if mode == "balanced" {
					settings.Nodes = world.herd.Nodes()
				}
				proxy := startProxy(t, settings)
				for how, statement := range map[string][]byte{"simple": query(asleep), "extended": extendedly(asleep)} {
					t.Run(how, func(t *testing.T) { cancelsBehind(t, proxy, statement, mode == "one server") })
				}
			})
		})
	}
}

// cancelsBehind cancels the statement outside and inside of a block, on a server that must first be brought to the
// client's settings, and, if other clients have all servers, while it waits for one.
func cancelsBehind(t *testing.T, proxy *herd.Proxy, statement []byte, shared bool) {
	conn, key, err := rawStart(proxy, protocol30)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := rawLogin(proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	rawMust(t, conn, "SET work_mem = '5MB'")
	for i := range behindTimes {
		if shared { // both clients use the same server
			rawMust(t, other, "SET work_mem = '6MB'")
		}
		block := i%2 == 1
		if block {
			rawMust(t, conn, "BEGIN")
		}
		if block && i%4 == 1 {
			rawMust(t, conn, "SELECT 1")
		}
		held := shared && i%6 == 2
		if held {
			rawMust(t, other, "BEGIN")
			rawMust(t, other, "SELECT 1")
		}
		behind(t, fmt.Sprint("time ", i), conn, key, proxy, statement)
		if held {
			rawMust(t, other, "COMMIT")
		}
		if block {
			rawMust(t, conn, "ROLLBACK")
		}
		if got := rawMust(t, conn, "SELECT current_setting('work_mem')"); got != "5MB" {
			t.Errorf("after the cancel work_mem is %q", got)
		}
	}
}

func rawMust(t *testing.T, conn net.Conn, sql string) string {
	t.Helper()
	got, err := rawAsk(conn, sql)
	if err != nil {
		t.Fatalf("%s: got error %v", sql, err)
	}
	return got
}

// behind sends the statement and its cancel, and reads the answer.
func behind(t *testing.T, what string, conn net.Conn, key cancelKey, proxy *herd.Proxy, statement []byte) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(statement); err != nil {
		t.Fatal(err)
	}
	if err := key.send(proxy); err != nil {
		t.Fatal(err)
	}
	if _, err := readValue(conn); sqlstate(err) != "57014" {
		if err != nil && sqlstate(err) == "" {
			err = errors.Join(errHung, err)
		}
		t.Fatalf("%s: got error %v, want SQLSTATE 57014", what, err)
	}
}
