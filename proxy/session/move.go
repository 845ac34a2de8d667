package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// moveToPrimary ends the block on the server at hand and parts with the server, so that the
// request can go to another node. A block that has failed there stays there until its end.
func (s *placement) moveToPrimary() error {
	if err := s.sync(); err != nil || s.expect.Skipping || s.failed() {
		return err
	}
	return s.abandonBlock()
}

// sync waits until the status of the transaction is known, unless the transaction is known
// to have failed.
func (s *placement) sync() error {
	if err := s.quiesce(); err != nil || s.expect.Skipping || s.failed() || !s.expect.InExtended() {
		return err
	}
	s.send(wire.Sync, expect.Swallow, nil, wire.AppendSync(nil))
	return s.relayUntil(s.expect.Empty)
}

// abandonBlock rolls back the block on the server at hand, which has done nothing there but
// read, and parts with the server.
func (s *placement) abandonBlock() error {
	if s.status == wire.Idle {
		s.begun = nil // the block has ended meanwhile
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

// failAgain moves a block that has failed on a standby to the primary, where it begins and
// fails again. The transaction that follows it, by AND CHAIN for example, takes its
// properties from the failed one.
func (s *placement) failAgain() error {
	if err := s.abandonBlock(); err != nil {
		return err
	}
	return s.failOnPrimary()
}

// failOnPrimary begins the open block on the primary and makes it fail there.
func (s *placement) failOnPrimary() error {
	if err := s.fetch(route.Decision{Where: route.Primary}); err != nil {
		return err
	}
	s.query(nonsense, expect.Attempt)
	err := s.relayUntil(s.expect.Empty)
	if err != nil {
		s.transaction.fail() // as the client knows
	}
	return err
}

// letGo parts with the server at hand inside of a block. The server is a standby's, or has
// run nothing. In session mode the server of the primary is parked; if it cannot be, it
// stays, and the block begins again on it.
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

// giveUp returns the server at hand to the pool, or closes it if another session cannot use
// it (I2).
func (s *placement) giveUp() {
	if s.awaitCancels() && pool.Transaction.Judge(s.moment()) == pool.Return && s.calm() {
		s.release(pool.Return)
	} else {
		s.release(pool.Discard)
	}
}
