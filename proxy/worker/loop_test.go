package worker

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/ring"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
)

// patience is the deadline of a test on real sockets; it should end long before.
const patience = 20 * time.Second

// realConnector opens connections on loopback, with TLS, to a PostgreSQL that the simulation plays.
type realConnector struct{ t *testing.T }

func (c realConnector) Cancel(context.Context, int, uint32, []byte) error { return nil }
func (c realConnector) Secret(string) (any, bool)                         { return nil, false }

func (c realConnector) Open(context.Context, pool.Key, any) (Opened, error) {
	here, there := connected(c.t)
	go serve(tls.Server(there, &tls.Config{Certificates: []tls.Certificate{certificate()}}))
	under := NewTransport(here)
	secured := tls.Client(under, &tls.Config{InsecureSkipVerify: true})
	if err := secured.Handshake(); err != nil {
		return Opened{}, err
	}
	fd, err := Detach(here)
	return Opened{Socket: Socket{FD: fd, TLS: secured, Transport: under}, PID: 1}, err
}

// serve plays PostgreSQL on a connection until it ends.
func serve(conn net.Conn) {
	defer conn.Close()
	p := newPostgres(true)
	b := make([]byte, 4<<10)
	for {
		n, err := conn.Read(b)
		if err != nil || p.feed(b[:n]) {
			return
		}
		if _, err := conn.Write(take(&p.out)); err != nil {
			return
		}
	}
}

// realWorkers is one worker on the kernel's epoll.
func realWorkers(t *testing.T) *Workers {
	env := &Environment{
		Connect: realConnector{t}, Log: slog.New(slog.DiscardHandler), Now: time.Now, Go: func(f func()) { go f() },
		Key: func(uint32) []byte { return make([]byte, 4) }, Jitter: func(d time.Duration) time.Duration { return d },
		Ended: func(session.View, error) {}, Failed: func(err error) { t.Error(err) }, Chance: func() float64 { return 0 },
	}
	set := &Settings{Session: &session.Settings{ResetTimeout: patience, KeepServers: true, ResetQueries: []string{"DISCARD ALL"}}}
	ws := NewWorkers(1, env, set, &nodes.View{Nodes: []nodes.Node{{Role: nodes.Primary, Status: nodes.Up}}})
	if err := ws.Start(func() (*ring.Loop, error) { return ring.New(ring.Settings{Engine: "epoll"}) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ws.Stop()
		if err := ws.Closed(patience); err != nil {
			t.Error(err)
		}
	})
	return ws
}

// login does the TLS handshake on a goroutine, over a net.Conn, and then hands the connection to the
// worker.
func login(t *testing.T, ws *Workers) *tls.Conn {
	here, there := connected(t)
	shaken := make(chan error, 1)
	go func() {
		under := NewTransport(here)
		secured := tls.Server(under, &tls.Config{Certificates: []tls.Certificate{certificate()}})
		err := secured.Handshake()
		if err == nil {
			var fd int
			if fd, err = Detach(here); err == nil {
				ws.Adopt(0, Login{Socket: Socket{FD: fd, TLS: secured, Transport: under}, Client: session.Client{Target: appKey.Target()}})
			}
		}
		shaken <- err
	}()
	_ = there.SetDeadline(time.Now().Add(patience))
	client := tls.Client(there, &tls.Config{InsecureSkipVerify: true})
	if err := errors.Join(client.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return client
}

// greeted reads to the end of the log-in, which it recognizes by its last bytes.
func greeted(t *testing.T, client *tls.Conn) {
	t.Helper()
	var got []byte
	for b := make([]byte, 1); !bytes.HasSuffix(got, ready); got = append(got, b...) {
		if _, err := client.Read(b); err != nil {
			t.Fatalf("the log-in answered %q, %v", got, err)
		}
	}
}

// TestTLSOnBothSides checks, byte for byte, what a client gets through a worker.
func TestTLSOnBothSides(t *testing.T) {
	workers := realWorkers(t)
	for range 3 { // the first opens the server, the others get it from the list of idle servers
		client, model := login(t, workers), newPostgres(true)
		greeted(t, client)
		for _, round := range [][]byte{
			wire.AppendQuery(nil, "1 ROWS 3"), wire.AppendQuery(nil, "1 BIG 20000"),
			wire.AppendSync(extended(1, "ROWS", 2000)),
			wire.AppendCopyDone(append(wire.AppendQuery(nil, "1 COPYIN"), bytes.Repeat(wire.AppendCopyData(nil, "row"), 20_000)...)),
			wire.AppendQuery(nil, "1 COPYOUT 5000"),
		} {
			model.feed(round)
			go func() { _, _ = client.Write(round) }()
			answer := take(&model.out)
			got := make([]byte, len(answer))
			if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, answer) {
				t.Fatalf("request %.30q: error %v, got %.80q, want %.80q", round, err, got, answer)
			}
		}
		if _, err := client.Write(wire.AppendTerminate(nil)); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("after the Terminate: got %d bytes and %v, want the end of the connection", n, err)
		}
	}
}

// TestStartFails checks that a worker whose loop cannot be made returns the error.
func TestStartFails(t *testing.T) {
	ws := NewWorkers(2, &Environment{Now: time.Now}, &Settings{}, &nodes.View{})
	none := unix.ENOMEM
	if err := ws.Start(func() (*ring.Loop, error) { return nil, none }); !errors.Is(err, none) {
		t.Error(err)
	}
}
