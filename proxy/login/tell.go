package login

import (
	"io"
	"time"

	"pgherd/proxy/wire"
)

// Limits of telling a client why it is turned away (I5).
const (
	tellTime   = 2 * time.Second
	drainTime  = time.Second
	drainBytes = 64 << 10
)

// tell sends the error and waits a moment for the client to read it: closing
// a socket on which unread bytes lie would send a RST, which overtakes it.
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
