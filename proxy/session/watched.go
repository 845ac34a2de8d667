package session

import (
	"pgherd/proxy/effect"
	"pgherd/proxy/wire"
)

// In session mode on one node, a client keeps its server until it leaves, and DISCARD ALL
// then removes what it has left there. So pgherd does not analyze its statements, except
// where they may leave what outlasts DISCARD ALL, which is in a database with such code and
// for a superuser. There they are watched for one thing only, whether the server has to be
// closed in the end.

// observeText finds out whether a request of a watched session may leave what outlasts
// DISCARD ALL.
func (s *relaying) observeText(m *wire.Message) (err error) {
	if !s.watches || s.spoils {
		return nil
	}
	switch m.Kind {
	case wire.FunctionCall:
		s.spoils = functionCall(m).Has(effect.Spoils)
	case wire.Query, wire.Parse:
		if err := s.renewWatched(m); err != nil {
			return err
		}
		if err = s.readScript(m); err == nil {
			s.spoils = s.lasts(s.effect(s.script))
		}
	}
	return err
}

// lasts says that an effect may outlast DISCARD ALL. A definition counts if the catalog is
// what statements are judged by, because the catalog does not have the new object yet.
func (s *relaying) lasts(e *effect.Effect) bool {
	for _, prepared := range e.Prepares {
		for _, st := range prepared {
			var inner effect.Effect
			if inner.Include(st, s.judge()); inner.Has(effect.Spoils) {
				return true
			}
		}
	}
	return e.Has(effect.Spoils) || e.Has(effect.Defines) && s.entry != nil
}

// renewWatched asks for the catalog if that is due. The question destroys the server's
// unnamed statement, so it is asked only before a request that does so, too.
func (s *relaying) renewWatched(m *wire.Message) error {
	name := []byte{}
	if m.Kind == wire.Parse {
		name = m.Body()[:1]
	}
	if s.entry == nil || s.server == nil || !s.outside() || s.asking != nil || len(name) > 0 && name[0] != 0 {
		return nil
	}
	ticket, due := s.entry.Claim(s.loop.Now(), s.set.CatalogCheck, false)
	if !due {
		return nil
	}
	s.askCatalog(ticket)
	if err := s.relayUntil(func() bool { return s.asking == nil }); err != nil {
		return err
	}
	return s.digest()
}
