package worker

import (
	"crypto/tls"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/pool"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
)

// Socket is a connection that is set up, on its way from a goroutine to a worker or
// from one worker to another. It consists of plain values, and whoever holds them owns
// it.
type Socket struct {
	FD        int
	TLS       *tls.Conn  // nil: plain
	Transport *Transport // what lies under TLS; nil: plain
}

// Login is a client that has been authenticated.
type Login struct {
	Socket
	session.Client
}

// Opened is a server connection that a Connector has logged in.
type Opened struct {
	Socket
	PID       uint32
	CancelKey []byte
	Params    []wire.Param
	Timeouts  pool.Timeouts
	Settings  pool.Settings // in force, beyond those of the log-in
	Finding   pool.Finding  // the state that the log-in depends on
}

// Detach takes the descriptor out of conn, for a ring. conn is closed in any case, and
// nothing may have been read from it ahead. (File would make the shared description
// blocking; a duplicate leaves it as it is.)
func Detach(conn net.Conn) (fd int, err error) {
	defer conn.Close()
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("detach descriptor: %T has none", conn)
	}
	rc, err := raw.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("detach descriptor: %w", err)
	}
	cerr := rc.Control(func(from uintptr) {
		fd, err = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = cerr
	}
	if err != nil {
		return -1, fmt.Errorf("detach descriptor: %w", err)
	}
	return fd, nil
}

// carrier is the ring's connection as a Transport needs it.
type carrier interface {
	// Receive copies what has arrived; it returns notYet if nothing has.
	Receive(p []byte) (int, error)
	// Transmit queues a copy of ciphertext.
	Transmit(p []byte)
}

// Transport lies under a tls.Conn. It is a net.Conn while the handshake runs on a
// goroutine, and a worker's ring after that. On the ring its Read never waits, but
// returns a temporary error that a tls.Conn survives. Its Write always queues, because
// a write that "would block" ends a tls.Conn for ever. Back-pressure is applied by not
// reading the other side.
type Transport struct {
	net.Conn
	ring carrier
}

// NewTransport makes a transport that begins on conn.
func NewTransport(conn net.Conn) *Transport { return &Transport{Conn: conn} }

// attach moves the transport to a ring. The net.Conn is closed by then.
func (t *Transport) attach(c carrier) { t.Conn, t.ring = nil, c }

func (t *Transport) Read(p []byte) (int, error) {
	if t.ring == nil {
		return t.Conn.Read(p)
	}
	return t.ring.Receive(p)
}

func (t *Transport) Write(p []byte) (int, error) {
	if t.ring == nil {
		return t.Conn.Write(p)
	}
	t.ring.Transmit(p)
	return len(p), nil
}

// Close does nothing on a ring: the endpoint closes the descriptor.
func (t *Transport) Close() error {
	if t.ring == nil {
		return t.Conn.Close()
	}
	return nil
}

func (t *Transport) SetDeadline(at time.Time) error {
	if t.ring == nil {
		return t.Conn.SetDeadline(at)
	}
	return nil
}

func (t *Transport) SetReadDeadline(at time.Time) error {
	if t.ring == nil {
		return t.Conn.SetReadDeadline(at)
	}
	return nil
}

func (t *Transport) SetWriteDeadline(at time.Time) error {
	if t.ring == nil {
		return t.Conn.SetWriteDeadline(at)
	}
	return nil
}

// notYet is the temporary error of a Read that found nothing.
type notYet struct{}

func (notYet) Error() string   { return "read ring: nothing has arrived yet" }
func (notYet) Timeout() bool   { return true }
func (notYet) Temporary() bool { return true }
