package session

import (
	"time"

	"pgherd/proxy/query"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// transaction is what a session knows of its client's transaction. The status is what the
// server reports; while the BEGIN of a block is held back, and no server knows of the block,
// the session itself sets it. The table has the status before, the event, and the status
// after it:
//
//	Idle           hold      InTransaction   the BEGIN is held back, no server knows of it
//	any            settle                    the server has reported a status, which is taken
//	InTransaction  fail      Failed          pgherd has refused a request, and no server knows of the block
//	any            unserved  Idle, Failed    a request got no server; Failed if a BEGIN was held back
//	Idle, Failed   resume    InTransaction   the block goes on, on another server
//	any            parted    Idle            the server is gone; a held-back BEGIN is kept
//	any            breakOff  Failed          the block was lost with its server
//	any            mourn     InTransaction   likewise, and the client is told with its next request
//	Idle           renew     InTransaction   the block goes on without its server: the next gets its BEGIN
//	any            over      Idle            the block has ended; nothing is kept
type transaction struct {
	status      byte                  // wire.Idle, InTransaction or Failed
	begun       *query.Script         // the BEGIN of the open block, if that was held back; else nil
	begunAt     time.Time             // when it was held back
	begins      *statements.Statement // a BEGIN whose Bind pgherd has answered, unknown to any server; nil if there is none
	ended       bool                  // what ends a block was sent, and the server has not reported a status since
	wrote       bool                  // the transaction has written
	hasOnlyRead bool                  // of the block whose BEGIN was held back nothing was sent but reads
	// bereaved says that the block was lost with its server, and the client was not told yet;
	// implicit, that it is one that no BEGIN began.
	bereaved, implicit bool
	portal             bool // the unnamed portal is bound on a standby, and may still be executed
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

// hold opens a block whose BEGIN is held back, so that no server knows of it yet.
func (t *transaction) hold(begin *query.Script, now time.Time) {
	if t.status != wire.Idle {
		panic("session: a BEGIN is held back inside of a transaction")
	}
	t.begun, t.begunAt, t.begins = begin, now, nil
	t.hasOnlyRead = true
	t.enter(wire.InTransaction)
}

// renew keeps a block open that has lost its server. The next server gets its BEGIN, as if that
// were still held back.
func (t *transaction) renew(begun *query.Script, at time.Time) {
	t.begun, t.begunAt = begun, at
	t.enter(wire.InTransaction)
}

// settle takes the status that the server reports. more says that further requests were
// sent, one of which may be what ends a block.
func (t *transaction) settle(status byte, more bool) {
	t.ended = t.ended && more
	t.enter(status)
}

// fail notes that pgherd has refused a request in a block that no server knows of.
func (t *transaction) fail() {
	if t.status == wire.InTransaction {
		t.enter(wire.Failed)
	}
}

// breakOff notes that the block was lost with its server, as the client knows. What follows is
// answered as in a block that has failed; begun is its BEGIN, if that is known.
func (t *transaction) breakOff(begun *query.Script, now time.Time) {
	if begun == nil {
		begun = brokenBegin()
	}
	t.begun, t.begunAt = begun, now
	t.enter(wire.Failed)
}

// mourn notes that a block was lost of which the client waits for nothing now.
func (t *transaction) mourn(begun *query.Script, now time.Time, implicit bool) {
	t.bereaved, t.implicit = true, implicit
	if implicit {
		return
	}
	t.breakOff(begun, now)
	t.enter(wire.InTransaction)
}

// unserved notes that a request got no server. If the BEGIN of the open block was held
// back, the block fails; any other block was lost with its server.
func (t *transaction) unserved() {
	t.enter(wire.Idle)
	if t.begun != nil {
		t.enter(wire.Failed)
	}
}

// resume lets the block whose BEGIN was held back go on, on whatever server is at hand.
func (t *transaction) resume() {
	if t.begun != nil {
		t.enter(wire.InTransaction)
	}
}

// parted notes that the session has parted with its server.
func (t *transaction) parted() {
	t.wrote, t.ended, t.portal = false, false, false
	t.enter(wire.Idle)
}

// over ends a block that no server knows of.
func (t *transaction) over() {
	t.begun, t.begins = nil, nil
	t.enter(wire.Idle)
}
