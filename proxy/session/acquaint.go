package session

import "pgherd/proxy/catalog"

// acquaint asks for the catalog, if nothing is known of it, before the first statement is
// judged by it. While there is no primary a standby is asked, until there is one again.
func (s *serving) acquaint() error {
	for s.entry != nil && !s.entry.Known() {
		if err := s.askFirst(); err != nil {
			return err
		}
	}
	return nil
}

// askFirst asks for a catalog of which nothing is known.
func (s *serving) askFirst() error {
	if s.server == nil {
		if err := s.checkOutTeller(s.patience()); err != nil {
			return err
		}
	}
	return s.askNow(func() catalog.Ticket { return s.entry.Ask(s.loop.Now()) })
}

// askNow asks the primary for the catalog, and waits for the answer.
func (s *serving) askNow(ticket func() catalog.Ticket) error {
	if s.server == nil {
		if err := s.checkOutPrimary(s.patience()); err != nil {
			return err
		}
	}
	if s.asking == nil {
		s.askCatalog(ticket())
	}
	if err := s.relayUntil(func() bool { return s.asking == nil }); err != nil {
		return err
	}
	return s.digest()
}
