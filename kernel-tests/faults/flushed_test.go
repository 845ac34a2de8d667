package faults_test

import (
	"testing"

	"pgherd/bench/herd"
)

// TestFlushedButNotSynced checks that no other client gets the server of a client that has sent Flush but no Sync. Its
// transaction is open, and PostgreSQL ends it at the Sync (I1, I2).
func TestFlushedButNotSynced(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := startProxy(t, herd.ProxySettings{HBA: trustHBA, Config: oneServer + "io_engine = " + engine})
		watch := connectAs(t, proxy, herd.Superuser, "dbname=postgres")
		conn, err := rawLogin(proxy)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		insert := append(parseMessage("", "INSERT INTO log VALUES ('flushed', 1) ON CONFLICT DO NOTHING"), bindAndRun("")...)
		insert = append(insert[:len(insert)-len(message('S'))], message('H')...)
		if _, err := conn.Write(insert); err != nil {
			t.Fatal(err)
		}
		for _, want := range []byte("12C") {
			if kind, _, err := readMessage(conn); err != nil || kind != want {
				t.Fatalf("got %q, error %v; want %q", kind, err, want)
			}
		}
		other := connect(t, proxy)
		answer := make(chan error, 1)
		go func() { _, err := ask(other, "SELECT 1/0"); answer <- err }() // on the same server it would roll back the other client's transaction
		waiting(t, watch, 1)
		if _, err := conn.Write(message('S')); err != nil {
			t.Fatal(err)
		}
		if _, err := readValue(conn); err != nil {
			t.Error(err)
		}
		wantState(t, <-answer, "22012")
		if got := mustAsk(t, other, "DELETE FROM log WHERE client = 'flushed' RETURNING seq"); got != "1" {
			t.Errorf("the row is %q", got)
		}
	})
}
