package session

import (
	"encoding/binary"

	"pgherd/proxy/wire"
)

// notified has a notification name the client whose it is, where PostgreSQL names one
// of pgherd's servers: a client recognizes its own by the number that it was told.
func (s *exchange) notified(m *wire.Message) {
	if !m.First || len(m.Bytes) < wire.HeaderLen+4 {
		return
	}
	at := m.Bytes[wire.HeaderLen:]
	pid := binary.BigEndian.Uint32(at)
	if pid == s.server.PID { // who listens keeps the server
		binary.BigEndian.PutUint32(at, s.pid)
	} else if number, ok := s.loop.Notifier(s.server.Key.Node, pid); ok && number != s.pid {
		binary.BigEndian.PutUint32(at, number)
	}
}
