package session

import (
	"fmt"
	"slices"

	"pgherd/proxy/wire"
)

// whose says what becomes of the reply to a request.
type whose uint8

const (
	forward whose = iota // the client asked: it gets the reply
	swallow              // pgherd asked: the client never sees it
	local                // pgherd answers the client itself, when its turn comes
	beside               // pgherd says something before the reply to the client's next request; no reply itself
	instead              // the server fails for the client, which gets pgherd's words for it
	prelude              // pgherd asked, so that the client's next request can work: an error is the client's
	capture              // pgherd asked, and reads the answer
	restore              // pgherd brings the server to the session's settings: an error ends the session
	attempt              // as swallow, and an error changes nothing
	retry                // the client asked; it gets the reply to a repetition instead
)

// ours: it is of pgherd's own making, and in locals; the server never hears of it.
func (w whose) ours() bool { return w == local || w == beside }

// owed is a reply that has not come, or not wholly.
type owed struct {
	request wire.Kind
	whose   whose
	undo    undo
}

// undo takes back what was noted when a request was sent, because it failed
// itself (erred), or because the server skipped it. nil: nothing was noted.
type undo func(erred bool)

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
	locals queue[answer] // to the entries of our own making, in order
	// skipping: the server reads nothing but a Sync, which was not sent yet.
	skipping bool
	// copying: the oldest request takes copy data, its end was not sent yet.
	copying bool
	// ignored counts the Syncs that a copy took no notice of; if it fails
	// they may have counted after all.
	ignored int
	// What may have to be taken back: since the last Sync or Query, and
	// before it. While there is some of the latter nobody knows yet what a
	// new request means.
	open, closed int
	// unsynced: a sequence of the extended protocol was begun and is not
	// finished; a transaction may be open, whatever the status last told.
	unsynced bool
	// uncertain: an error came where ignored Syncs make it unknowable how
	// many replies are still to come. The server is never reused.
	uncertain bool
}

func (e *expectation) empty() bool { return e.list.len() == 0 && !e.skipping && !e.copying }

// coming says that replies are still to come without another request.
func (e *expectation) coming() bool { return e.list.len() > 0 && !e.copying }

// unsettled says that what was noted before the last Sync or Query may have
// to be taken back, and that the answer comes without another request.
func (e *expectation) unsettled() bool { return e.closed > 0 && !e.copying }

// settling says that a request is not answered after which a transaction may
// have another state.
func (e *expectation) settling() bool {
	for i := range e.list.len() {
		o := e.list.at(i)
		if wire.ReadyForQuery.Settles(o.request) && (o.whose == forward || o.whose == instead) {
			return true
		}
	}
	return false
}

// owedToClient is how many of the replies owed are the client's.
func (e *expectation) owedToClient() (n int) {
	for i := range e.list.len() {
		if w := e.list.at(i).whose; w == forward || w == local || w == instead {
			n++
		}
	}
	return n
}

// within says that a sequence of the extended protocol is not finished: an
// error in it would have the next request skipped.
func (e *expectation) within() bool { return e.unsynced }

// push puts a request, or an answer of our own, at the end of the list.
func (e *expectation) push(o owed) {
	if o.undo != nil {
		e.open++
	}
	if wire.ReadyForQuery.Settles(o.request) {
		e.open, e.closed = 0, e.closed+e.open
	}
	if !o.whose.ours() {
		e.unsynced = !wire.ReadyForQuery.Settles(o.request)
	}
	e.list.push(o)
}

// pop takes off the oldest.
func (e *expectation) pop() owed {
	o := e.list.pop()
	e.release(o)
	return o
}

func (e *expectation) release(o owed) {
	switch {
	case o.undo == nil:
	case e.closed > 0:
		e.closed--
	default:
		e.open--
	}
}

func (e *expectation) full() bool { return e.list.len() >= expectLimit }

// add notes that a request has been sent to the server.
func (e *expectation) add(request wire.Kind, w whose, undo undo) {
	switch {
	case !request.Asks():
	case e.skipping:
		if request == wire.Sync {
			e.skipping = false
			e.push(owed{request, w, undo})
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
		e.push(owed{request, w, undo})
	}
}

// addInstead is add for a request that will fail, and what the client is told.
// If code is not "", an error of another code is told as it is.
func (e *expectation) addInstead(request wire.Kind, words []byte, code string) {
	e.push(owed{request: request, whose: instead})
	e.locals.push(answer{bytes: words, code: code})
}

// answer is pgherd's own reply to a request.
type answer struct {
	bytes []byte
	ready bool // ReadyForQuery follows, with the status of that moment
	undo  undo
	code  string // of the error that it takes the place of; "": any
	// beside: it is no reply, but comes before the next one.
	beside bool
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
	w := local
	if a.beside {
		w = beside
	}
	e.push(owed{whose: w, undo: a.undo})
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
		if e.pop().whose == instead {
			e.locals.pop()
		}
		e.dropStray()
	case kind == wire.ReadyForQuery: // of a Sync that seemed to be ignored
		e.skipping = false
	}
}

// dropStray: a CopyDone or CopyFail that is the oldest reached the server
// outside a copy and is owed nothing.
func (e *expectation) dropStray() {
	for e.head().request == wire.CopyDone || e.head().request == wire.CopyFail {
		e.pop()
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
	if !e.head().whose.ours() {
		return answer{}, false
	}
	e.pop()
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
	var undone []undo // the oldest is the one that failed
	for e.list.len() > 0 && e.head().request != wire.Sync {
		o := e.pop()
		if o.whose.ours() || o.whose == instead {
			e.locals.pop()
		}
		if o.undo != nil || len(undone) == 0 {
			undone = append(undone, o.undo)
		}
	}
	for i, back := range slices.Backward(undone) {
		if back != nil {
			back(i == 0)
		}
	}
	e.skipping = e.list.len() == 0
}

// beginCopy: the server takes copy data for the oldest request. What was sent
// ahead is read as part of the copy, and finishes no sequence.
func (e *expectation) beginCopy() {
	e.copying = true
	e.dropCopied()
	for i := range e.list.len() {
		if o := e.list.at(i); !o.whose.ours() {
			e.unsynced = !wire.ReadyForQuery.Settles(o.request)
		}
	}
}

// dropCopied drops what is read as part of a copy: Syncs are ignored, the
// copy's end ends it, anything else is a fault in the data.
func (e *expectation) dropCopied() {
	for i := 1; i < e.list.len() && e.copying; {
		next := e.list.at(i)
		switch {
		case next.whose == beside: // it comes after the copy
			i++
			continue
		case next.whose == local:
			return // not sent to the server; cannot be told apart further
		case next.request == wire.Sync:
			e.ignored++
		default:
			e.copying = false
		}
		e.release(next)
		e.list.remove(i)
	}
}
