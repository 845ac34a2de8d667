package worker

import (
	"crypto/tls"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"pgherd/proxy/pool"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
)

// Socket is a connection whose set-up is done, on its way from a goroutine to
// a worker, or from one worker to another: plain values, owned by whoever
// holds them.
type Socket struct {
	FD        int
	TLS       *tls.Conn  // nil: plain
	Transport *Transport // what lies under TLS; nil: plain
}

// Login is a client that has proved who it is.
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
	Finding   pool.Finding  // what the log-in stands on
}

// Detach takes the descriptor out of conn, for a ring. conn is closed either
// way; nothing may have been read ahead from it. (File would make the shared
// description blocking; a duplicate keeps it as it is.)
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
