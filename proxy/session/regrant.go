package session

import (
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// admitted is what a session remembers of its log-in.
type admitted struct {
	admission *pool.Admission // what it stands on; nil: not known yet
	unproved  bool            // PostgreSQL is yet to be asked about it
	hurried   bool            // the client can be let in without a server
	regrants  bool            // the open transaction may change what log-ins stand on
}

// regrant tells other sessions, before its client hears of it, that a statement may have
// changed what log-ins stand on. What it has changed holds once its transaction is over.
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

// regranting says that a statement of this tag may change what log-ins stand on. A GRANT may
// be of anything: asking once more is cheap.
func regranting(tag []byte) bool {
	switch string(tag) {
	case "CREATE ROLE", "ALTER ROLE", "DROP ROLE", "GRANT ROLE", "REVOKE ROLE", "GRANT", "REVOKE", "REASSIGN OWNED", "DROP OWNED",
		"CREATE DATABASE", "ALTER DATABASE", "DROP DATABASE", "ALTER SYSTEM", "COMMIT PREPARED":
		return true
	}
	return false
}
