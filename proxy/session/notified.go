package session

import (
	"encoding/binary"

	"pgherd/proxy/wire"
)

// notified puts the number of the client that has sent a notification in the place of the
// number of its server's process. A client recognizes its own notifications by the number that it
// was told at its log-in.
func (s *exchange) notified(m *wire.Message) {
	if !m.First || len(m.Bytes) < wire.HeaderLen+4 {
		return
	}
	at := m.Bytes[wire.HeaderLen:]
	pid := binary.BigEndian.Uint32(at)
	if pid == s.server.PID { // the session keeps this server, because it listens there
		binary.BigEndian.PutUint32(at, s.pid)
	} else if number, ok := s.loop.Notifier(s.server.Key.Node, pid); ok && number != s.pid {
		binary.BigEndian.PutUint32(at, number)
	}
}
