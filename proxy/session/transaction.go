package session

import (
	"time"

	"pgherd/proxy/query"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// transaction is what a session knows of its client's transaction: whether one is open is
// told by the server at hand, or, of a block that no server has heard of yet, by the
// session in its place.
//
//	Idle           hold     InTransaction   its BEGIN is held back: no server knows
//	any            settle   what the server says
//	InTransaction  fail     Failed          there was no server for it
//	Idle, Failed   resume   InTransaction   the block goes on, on another server
//	any            parted   Idle            its server is gone; a held-back BEGIN is kept
//	any            over     Idle            nothing is kept
type transaction struct {
	status  byte                  // wire.Idle, InTransaction or Failed
	begun   *query.Script         // the BEGIN of the open block, if it was held back; nil: it was not
	begunAt time.Time             // when it was
	begins  *statements.Statement // the BEGIN that is bound, and answered, and no server has; nil: none
	ended   bool                  // what ends a block was sent, and the status behind it was not told
	wrote   bool                  // it has written
	portal  bool                  // the unnamed one is bound on a standby, and not done with
}

// enter is the one place where the status changes.
func (t *transaction) enter(status byte) {
	switch status {
	case wire.Idle, wire.InTransaction, wire.Failed:
		t.status = status
	default:
		panic("session: a transaction has no status " + string(rune(status)))
	}
}

// hold opens the block of which no server knows yet.
func (t *transaction) hold(begin *query.Script, now time.Time) {
	if t.status != wire.Idle {
		panic("session: a BEGIN is held back inside of a transaction")
	}
	t.begun, t.begunAt, t.begins = begin, now, nil
	t.enter(wire.InTransaction)
}

// settle takes the status that the server tells. more: more was sent behind, and may be
// what has ended a block.
func (t *transaction) settle(status byte, more bool) {
	t.ended = t.ended && more
	t.enter(status)
}

// fail: the open transaction cannot have a server.
func (t *transaction) fail() {
	if t.status == wire.InTransaction {
		t.enter(wire.Failed)
	}
}

// unserved: there was no server for a request. It fails the block that was begun, if
// that was held back; any other has gone with its server.
func (t *transaction) unserved() {
	t.enter(wire.Idle)
	if t.begun != nil {
		t.enter(wire.Failed)
	}
}

// resume: the block that was begun goes on, whatever server is at hand.
func (t *transaction) resume() {
	if t.begun != nil {
		t.enter(wire.InTransaction)
	}
}

// parted: the server is gone.
func (t *transaction) parted() {
	t.wrote, t.ended, t.portal = false, false, false
	t.enter(wire.Idle)
}

// over: a block that no server knows is ended.
func (t *transaction) over() {
	t.begun, t.begins = nil, nil
	t.enter(wire.Idle)
}
