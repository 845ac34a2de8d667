package wiretest

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// Listener is a fake server on a port of its own on the loopback address.
type Listener struct {
	listener net.Listener
	scripts  []Script
	played   chan error // one for each script
	plays    sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]bool
	tooMany  int
}

// Listen starts a fake server: connection i plays scripts[i], as many at once
// as there are. It ends with the test.
func Listen(t testing.TB, scripts ...Script) *Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Listener{
		listener: listener, scripts: scripts,
		played: make(chan error, len(scripts)), open: map[net.Conn]bool{},
	}
	l.plays.Go(l.accept)
	t.Cleanup(l.stop)
	return l
}

// Addr is host:port.
func (l *Listener) Addr() string { return l.listener.Addr().String() }

// Wait waits until every script has been played, Patience at the longest, and
// returns what went wrong with any of them, or with connections beyond them.
func (l *Listener) Wait() error {
	var all []error
	timeout := time.After(Patience)
	for range l.scripts {
		select {
		case err := <-l.played:
			all = append(all, err)
		case <-timeout:
			return errors.Join(append(all, fmt.Errorf("wait for the fake server: not all scripts ended in %v", Patience))...)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tooMany > 0 {
		all = append(all, fmt.Errorf("play: %d connections more than scripts", l.tooMany))
	}
	return errors.Join(all...)
}

func (l *Listener) accept() {
	for i := 0; ; i++ {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		if i >= len(l.scripts) {
			l.tooMany++
			l.mu.Unlock()
			conn.Close()
			continue
		}
		l.open[conn] = true
		l.mu.Unlock()
		l.plays.Go(func() { l.play(conn, l.scripts[i]) })
	}
}

func (l *Listener) play(conn net.Conn, script Script) {
	err := script.Play(conn, Server)
	conn.Close()
	l.mu.Lock()
	delete(l.open, conn)
	l.mu.Unlock()
	l.played <- err
}

func (l *Listener) stop() {
	l.listener.Close()
	l.mu.Lock()
	for conn := range l.open {
		conn.Close()
	}
	l.mu.Unlock()
	l.plays.Wait()
}

// Run dials addr (host:port) and plays the script as the client.
func (s Script) Run(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, Patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	return s.Play(conn, Client)
}

// MustLoad is Load for a test.
func MustLoad(t testing.TB, path string) []Script {
	t.Helper()
	scripts, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return scripts
}

// Must reads one trace for a test.
func Must(t testing.TB, trace string) Script {
	t.Helper()
	scripts, err := Parse(t.Name(), trace)
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) != 1 {
		t.Fatalf("%d traces, one is wanted", len(scripts))
	}
	return scripts[0]
}
