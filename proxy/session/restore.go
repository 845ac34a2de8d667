package session

import (
	"errors"

	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// restore brings the server to the session's settings. The statements go out in the same
// round trip as the client's request. If they could fail, restore waits for their end.
func (s *serving) restore() error {
	had := s.server.Settings
	r := had.Restore(s.tracker.Settings)
	if s.server.Drawn && !s.server.Used && (s.mode == pool.Session || s.entry != nil && s.entry.Drawing()) { // currval must not show what another session has drawn
		r.Settings += pool.DiscardSequences + ";"
		s.server.Drawn = false
	}
	s.server.Settings = s.tracker.Settings
	if r.Encoding != "" { // the encoding in which the other statements are written
		s.query(r.Encoding, expect.Restore)
	}
	if r.Settings != "" {
		s.query(r.Settings, expect.Restore)
	}
	if r.Encoding == "" && r.Settings == "" {
		s.tell()
	}
	for _, sql := range r.Prepared {
		s.query(sql, expect.Attempt)
	}
	if r.Sure {
		return nil
	}
	err := s.relayUntil(s.expect.Empty)
	if why, failed := errors.AsType[unrestored](err); failed && len(had) > 0 {
		why.others = true
		return why
	}
	return err
}

// unrestored is the error that the settings could not be restored. It ends the session,
// because a statement must not run with settings that are not its session's.
type unrestored struct {
	error
	others bool // it may be another session's settings that could not be taken back
}

func (u unrestored) Unwrap() error { return u.error }

func failedRestore(m wire.Message) error {
	why := wire.ViewFault(m.Body())
	return unrestored{error: &wire.Fault{Code: why.Code, Message: "could not restore the session's settings: " + why.Message,
		Hint: "What was set is not possible any more on the server. Connect again."}}
}
