package session

import (
	"pgherd/proxy/effect"
	"pgherd/proxy/wire"
)

// In session mode, on one node, a server is the client's until that leaves, and
// DISCARD ALL ends what it has done; so its statements are not looked at. They
// are where it may do what outlasts DISCARD ALL: in a database that holds such code,
// and for a superuser. All that is looked for is whether the server is to be closed
// in the end.

// observeText looks at a request.
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

// lasts says that something may be left for ever. What a definition makes is not
// known to who judges the statements after it.
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

// renewWatched asks for the catalog if that is due, and where it does no harm: a
// question ends the unnamed statement, and so does what is at hand.
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
