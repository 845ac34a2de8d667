package session

import (
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// admitted is what a session remembers of its log-in.
type admitted struct {
	admission *pool.Admission // what the log-in rests on; nil if that is not known yet
	unproved  bool            // the primary has yet to be asked whether the log-in is good
	stands    standing        // what a standby has said of it meanwhile
	hurried   bool            // the client can be let in without a server, so it waits for one only for a short time
	regrants  bool            // the open transaction may change what log-ins rest on
}

// regrant tells other sessions that a statement may have changed what log-ins rest on, before
// its client gets the reply. The change takes effect at the end of the transaction, so regrant
// tells them again at each reply until then.
func (s *relaying) regrant(m wire.Message) {
	if !s.regrants && m.Kind == wire.CommandComplete {
		v, err := wire.ViewCommandComplete(m.Body())
		s.regrants = err == nil && regranting(v.Tag)
	}
	if !s.regrants {
		return
	}
	s.loop.Doubt()
	s.regrants = m.Kind != wire.ReadyForQuery || s.status != wire.Idle
}

// regranting says that a statement with this tag may change what log-ins rest on. A GRANT may
// be about something else, but asking PostgreSQL once more is cheap.
func regranting(tag []byte) bool {
	switch string(tag) {
	case "CREATE ROLE", "ALTER ROLE", "DROP ROLE", "GRANT ROLE", "REVOKE ROLE", "GRANT", "REVOKE", "REASSIGN OWNED", "DROP OWNED",
		"CREATE DATABASE", "ALTER DATABASE", "DROP DATABASE", "ALTER SYSTEM", "COMMIT PREPARED":
		return true
	}
	return false
}
