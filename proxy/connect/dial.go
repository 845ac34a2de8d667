package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"pgherd/proxy/auth"
	"pgherd/proxy/certs"
	"pgherd/proxy/wire"
	"pgherd/proxy/worker"
)

// longAgo is a deadline that ends every wait now.
var longAgo = time.Unix(1, 0)

// link is a connection to a node before it becomes a server.
type link struct {
	socket    net.Conn
	conn      net.Conn // the socket, or TLS on it
	tls       *tls.Conn
	transport *worker.Transport
}

// dial connects to a node, with TLS as its settings ask for.
func (s *Settings) dial(ctx context.Context, node int) (*link, error) {
	at, known := s.Nodes[node]
	if !known {
		return nil, unreachable(fmt.Sprintf("node %d", node), errors.New("there is no such node"))
	}
	d := net.Dialer{Timeout: at.Timeout, KeepAliveConfig: s.KeepAlive, Control: at.Control}
	socket, err := d.DialContext(ctx, at.Network, at.Address)
	if err != nil {
		return nil, unreachable(at.Name, err)
	}
	l := &link{socket: socket, conn: socket}
	interrupt := context.AfterFunc(ctx, func() { socket.SetDeadline(longAgo) })
	err = l.secure(at.TLS)
	if !interrupt() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		socket.Close()
		return nil, unreachable(at.Name, err)
	}
	return l, nil
}

// secure negotiates TLS, if the settings ask for it. A Unix socket needs none.
func (l *link) secure(t *certs.Node) error {
	if _, isTCP := l.socket.(*net.TCPConn); t == nil || t.Config == nil || !isTCP {
		return nil
	}
	if _, err := l.socket.Write(wire.AppendSSLRequest(nil)); err != nil {
		return fmt.Errorf("ask for TLS: %w", err)
	}
	var answer [1]byte // read by itself, because what follows belongs to TLS
	if _, err := io.ReadFull(l.socket, answer[:]); err != nil {
		return fmt.Errorf("ask for TLS: %w", auth.NoEOF(err))
	}
	switch {
	case answer[0] == 'S':
		return l.handshake(t.Config)
	case answer[0] == 'N' && (t.Mode == certs.Prefer || t.Mode == certs.Allow):
		return nil
	case answer[0] == 'N':
		return fmt.Errorf("ask for TLS: the server has none, and sslmode is %s", t.Mode)
	}
	// The text of an error that comes before TLS could be anybody's, so it is not
	// passed on.
	return fmt.Errorf("ask for TLS: the server answered %q", answer[0])
}

func (l *link) handshake(config *tls.Config) error {
	l.transport = worker.NewTransport(l.socket)
	l.tls = tls.Client(l.transport, config)
	l.conn = l.tls
	if err := l.tls.Handshake(); err != nil {
		return fmt.Errorf("shake hands for TLS: %w", auth.NoEOF(err))
	}
	return nil
}

// Cancel asks a node to cancel what process pid does, and returns when the node has
// closed the connection: by then it has sent the signal (I10). After an error the
// signal may still come, so nobody else may use the server for which it was meant.
func (c *Connector) Cancel(ctx context.Context, node int, pid uint32, cancelKey []byte) error {
	s := c.settings.Load()
	ctx, cancel := s.limit(ctx, node)
	defer cancel()
	l, err := s.dial(ctx, node)
	if err != nil {
		return err
	}
	defer l.socket.Close()
	interrupt := context.AfterFunc(ctx, func() { l.socket.SetDeadline(longAgo) })
	defer interrupt()
	if _, err := l.conn.Write(wire.AppendCancelRequest(nil, pid, cancelKey)); err != nil {
		return fmt.Errorf("send CancelRequest to %s: %w", s.Nodes[node].Name, err)
	}
	if _, err := io.CopyN(io.Discard, l.conn, cancelAnswer); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("wait for end of CancelRequest at %s: %w", s.Nodes[node].Name, noAnswer(err))
	}
	return nil
}

// cancelAnswer limits the bytes that may come back; PostgreSQL sends none.
const cancelAnswer = 64 << 10

func noAnswer(err error) error {
	if err == nil {
		return errors.New("it does not end")
	}
	return err
}
