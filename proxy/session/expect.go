package session

import (
	"fmt"

	"pgherd/proxy/wire"
)

// whose says what becomes of the reply to a request.
type whose uint8

const (
	forward whose = iota // the client asked: it gets the reply
	swallow              // pgherd asked: the client never sees it
	local                // pgherd answers the client itself, when its turn comes
)

// owed is a reply that has not come, or not wholly.
type owed struct {
	request wire.Kind
	whose   whose
}

// expectLimit bounds the replies owed at once; beyond it the client is not
// read. A server holds back at most 8 KB of replies until a Sync, which is
// fewer than this many of the smallest, so waiting for some never dead-locks.
const expectLimit = 1 << 14

// expectation is the ordered list of replies still owed to the client or to
// pgherd. It serves everything that speaks to the server on the session's
// behalf; "the server owes nothing" (I2) is: the list is empty.
//
// What it knows of the protocol, beside wire.Kind's table: after an error in
// the extended protocol a server skips to the next Sync; while it takes copy
// data it ignores Flush and Sync; CopyDone and CopyFail outside a copy are
// ignored.
type expectation struct {
	list   queue[owed]
	locals queue[answer] // to the local entries, in order
	// skipping: the server reads nothing but a Sync, which was not sent yet.
	skipping bool
	// copying: the oldest request takes copy data, its end was not sent yet.
	copying bool
	// ignored counts the Syncs that a copy took no notice of; if it fails
	// they may have counted after all.
	ignored int
	// uncertain: an error came where ignored Syncs make it unknowable how
	// many replies are still to come. The server is never reused.
	uncertain bool
}

func (e *expectation) empty() bool { return e.list.len() == 0 && !e.skipping && !e.copying }

// coming says that replies are still to come without another request.
func (e *expectation) coming() bool { return e.list.len() > 0 && !e.copying }

func (e *expectation) full() bool { return e.list.len() >= expectLimit }

// add notes that a request has been sent to the server.
func (e *expectation) add(request wire.Kind, w whose) {
	switch {
	case !request.Asks():
	case e.skipping:
		if request == wire.Sync {
			e.skipping = false
			e.list.push(owed{request, w})
		}
	case e.copying:
		switch request {
		case wire.Sync:
			e.ignored++
		default: // the end of the copy, or a fault in it: either way no reply of its own
			e.copying = false
		}
	case e.list.len() == 0 && (request == wire.CopyDone || request == wire.CopyFail):
	default:
		e.list.push(owed{request, w})
	}
}

// answer is pgherd's own reply to a request.
type answer struct {
	bytes []byte
	ready bool // ReadyForQuery follows, with the status of that moment
}

// answer notes a reply of pgherd's own. now: nothing is owed before it, and no
// message is torn, half of it sent: it is to be sent; else nextLocal gives it
// back when its turn comes.
func (e *expectation) answer(a answer, torn bool) (now bool) {
	if e.skipping {
		return false
	}
	if e.list.len() == 0 && !torn {
		return true
	}
	e.list.push(owed{whose: local})
	e.locals.push(a)
	return false
}

// admit says whose a reply is that begins to arrive. An error is a violation
// of the protocol by the server.
func (e *expectation) admit(kind wire.Kind) (whose, error) {
	head := e.head()
	if kind.Unasked() || kind.Within(head.request) {
		return head.whose, nil
	}
	if kind == wire.ReadyForQuery && e.list.len() == 0 && e.uncertain {
		return forward, nil
	}
	return 0, fmt.Errorf("read from server: %v came while %v was owed", kind, head.request)
}

// settle notes that an admitted reply has come to its end.
func (e *expectation) settle(kind wire.Kind) {
	switch {
	case kind == wire.ErrorResponse:
		e.fail()
	case kind == wire.CopyInResponse:
		e.beginCopy()
	case e.list.len() > 0 && kind.Settles(e.head().request):
		e.copying, e.ignored = false, 0
		e.list.pop()
		e.dropStray()
	case kind == wire.ReadyForQuery: // of a Sync that seemed to be ignored
		e.skipping = false
	}
}

// dropStray: a CopyDone or CopyFail that is the oldest reached the server
// outside a copy and is owed nothing.
func (e *expectation) dropStray() {
	for e.head().request == wire.CopyDone || e.head().request == wire.CopyFail {
		e.list.pop()
	}
}

// head is the oldest request owed; nothing owed reads as the client's own.
func (e *expectation) head() owed {
	if e.list.len() == 0 {
		return owed{}
	}
	return e.list.at(0)
}

// nextLocal takes the answer whose turn has come; not ok: the turn is the
// server's, or nobody's.
func (e *expectation) nextLocal() (a answer, ok bool) {
	if e.head().whose != local {
		return answer{}, false
	}
	e.list.pop()
	e.dropStray()
	return e.locals.pop(), true
}

// fail: an ErrorResponse came. The oldest request, if of the extended
// protocol, is over and so is all up to the next Sync.
func (e *expectation) fail() {
	if e.ignored > 0 {
		e.uncertain = true
	}
	e.copying, e.ignored = false, 0
	if e.list.len() == 0 || wire.ReadyForQuery.Settles(e.head().request) {
		return // ReadyForQuery is still to come, or the connection's end
	}
	for e.list.len() > 0 && e.head().request != wire.Sync {
		if e.list.pop().whose == local {
			e.locals.pop()
		}
	}
	e.skipping = e.list.len() == 0
}

// beginCopy: the server takes copy data for the oldest request. What was sent
// ahead is read as part of the copy: Syncs are ignored, the copy's end ends
// it, anything else is a fault in the data.
func (e *expectation) beginCopy() {
	e.copying = true
	for e.list.len() > 1 && e.copying {
		next := e.list.at(1)
		switch {
		case next.whose == local:
			return // not sent to the server; cannot be told apart further
		case next.request == wire.Sync:
			e.ignored++
		default:
			e.copying = false
		}
		e.list.remove(1)
	}
}
