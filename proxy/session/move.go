package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// moveToPrimary ends what is going on on the server at hand, so that the request can
// go to another node. What fails there stays there until its end.
func (s *placement) moveToPrimary() error {
	if err := s.sync(); err != nil || s.expect.Skipping || s.failed() {
		return err
	}
	return s.abandonBlock()
}

// sync waits until the state of the transaction is known; unless it has failed.
func (s *placement) sync() error {
	if err := s.quiesce(); err != nil || s.expect.Skipping || s.failed() || !s.expect.InExtended() {
		return err
	}
	s.send(wire.Sync, expect.Swallow, nil, wire.AppendSync(nil))
	return s.relayUntil(s.expect.Empty)
}

// abandonBlock ends the block on the server at hand, which has only read, if
// that, and parts with that.
func (s *placement) abandonBlock() error {
	if s.status == wire.Idle {
		s.begun = nil // it has ended meanwhile
	} else {
		s.tellOwn("ROLLBACK")
		s.query("ROLLBACK", expect.Swallow)
	}
	if err := s.relayUntil(s.expect.Empty); err != nil {
		return err
	}
	s.retry.name = s.retry.name[:0]
	s.letGo()
	return nil
}

// failAgain has a block that failed on the standby fail on the primary: what it
// is to be followed by takes its properties from it there.
func (s *placement) failAgain() error {
	if err := s.abandonBlock(); err != nil {
		return err
	}
	return s.failOnPrimary()
}

// failOnPrimary begins a block on the primary that has failed.
func (s *placement) failOnPrimary() error {
	if err := s.fetch(route.Decision{Where: route.Primary}); err != nil {
		return err
	}
	s.query(nonsense, expect.Attempt)
	return s.relayUntil(s.expect.Empty)
}

// letGo parts with a server in the middle of whatever is going on: a standby's,
// or one that has run nothing. In session mode the primary's may have to stay.
func (s *placement) letGo() {
	if s.keeps() {
		if s.awaitCancels() {
			s.park()
		}
		if s.server != nil {
			s.beginAgain()
			return
		}
	} else {
		s.giveUp()
	}
	s.resume()
}

// giveUp gives the server at hand back, if nothing keeps that from others.
func (s *placement) giveUp() {
	if s.awaitCancels() && pool.Transaction.Judge(s.moment()) == pool.Return && s.calm() {
		s.release(pool.Return)
	} else {
		s.release(pool.Discard)
	}
}
