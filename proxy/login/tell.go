package login

import (
	"io"
	"time"

	"pgherd/proxy/wire"
)

// Limits for telling a client why it is refused (I5).
const (
	tellTime   = 2 * time.Second
	drainTime  = time.Second
	drainBytes = 64 << 10
)

// tell sends the error and waits a moment for the client to read it. If unread bytes
// lie in a socket, closing it sends a RST, which overtakes the error.
func (l *login) tell(f *wire.Fault) {
	fatal := *f
	fatal.Severity = "FATAL"
	l.socket.SetDeadline(time.Now().Add(tellTime))
	if _, err := l.conn.Write(wire.AppendError(nil, &fatal)); err != nil {
		return
	}
	if l.tls != nil {
		l.tls.CloseWrite()
	}
	half, ok := l.socket.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	l.socket.SetReadDeadline(time.Now().Add(drainTime))
	io.Copy(io.Discard, io.LimitReader(l.socket, drainBytes))
}
