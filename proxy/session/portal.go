package session

import "pgherd/proxy/wire"

// notePortal notes whether the unnamed portal on the standby at hand may still be executed after
// this request. If the session moved to the primary, the portal would be lost with the server.
func (s *clientState) notePortal(m *wire.Message) {
	if !s.away {
		return
	}
	switch m.Kind {
	case wire.Bind:
		portal, _, _ := s.bound(m)
		s.portal = s.portal || len(portal) == 0
	case wire.Execute:
		v, err := wire.ViewExecute(m.Body())
		s.portal = s.portal && (err != nil || len(v.Portal) > 0 || v.MaxRows > 0)
	case wire.Query: // it destroys the unnamed portal
		s.portal = false
	case wire.Sync:
		s.portal = s.portal && s.status != wire.Idle
	}
}
