// Package expect keeps, in order, which replies a server still owes and what
// becomes of each: the client's go to the client, those to pgherd's own requests
// do not, and pgherd's own answers take their turn among them. It does no I/O.
package expect

import (
	"fmt"
	"slices"

	"pgherd/proxy/fifo"
	"pgherd/proxy/wire"
)

// kept is for how many an empty list may hold on to memory.
const kept = 32

// Disposition says what becomes of the reply to a request.
type Disposition uint8

const (
	Forward    Disposition = iota // the client asked: it gets the reply
	Swallow                       // pgherd asked: the client never sees it
	Local                         // pgherd answers the client itself, when its turn comes
	Beside                        // pgherd says something before the reply to the client's next request; no reply itself
	Substitute                    // the server fails for the client, which gets pgherd's words for it
	Setup                         // pgherd asked, so that the client's next request can work: an error is the client's
	Capture                       // pgherd asked, and reads the answer
	Restore                       // pgherd brings the server to the session's settings: an error ends the session
	Attempt                       // as swallow, and an error changes nothing
	Retry                         // the client asked; it gets the reply to a repetition instead
)

// ours: it is of pgherd's own making, and in locals; the server never hears of it.
func (w Disposition) ours() bool { return w == Local || w == Beside }

// owed is a reply that has not come, or not wholly.
type owed struct {
	request wire.Kind
	whose   Disposition
	undo    Undo
	about   any
}

// Undo takes back what was noted when a request was sent, because it failed
// itself (erred), or because the server skipped it. nil: nothing was noted.
type Undo func(erred bool)

// Limit bounds the replies owed at once; beyond it the client is not
// read. A server holds back at most 8 KB of replies until a Sync, which is
// fewer than this many of the smallest, so waiting for some never dead-locks.
const Limit = 1 << 14

// List is the ordered list of replies still owed to the client or to
// pgherd. It serves everything that speaks to the server on the session's
// behalf; "the server owes nothing" (I2) is: the list is empty.
//
// What it knows of the protocol, beside wire.Kind's table: after an error in
// the extended protocol a server skips to the next Sync; while it takes copy
// data it ignores Flush and Sync; CopyDone and CopyFail outside a copy are
// ignored.
type List struct {
	list   fifo.Queue[owed]
	locals fifo.Queue[Answer] // to the entries of our own making, in order
	held   int                // bytes of them
	// Skipping: the server reads nothing but a Sync, which was not sent yet.
	Skipping bool
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
	// Uncertain: an error came where ignored Syncs make it unknowable how
	// many replies are still to come. The server is never reused.
	Uncertain bool
}

// Empty says that the server owes nothing, and reads what comes next (I2).
func (e *List) Empty() bool { return e.list.Len() == 0 && !e.Skipping && !e.copying }

// RepliesPending says that replies are still to come without another request.
func (e *List) RepliesPending() bool { return e.list.Len() > 0 && !e.copying }

// Unsettled says that what was noted before the last Sync or Query may have
// to be taken back, and that the answer comes without another request.
func (e *List) Unsettled() bool { return e.closed > 0 && !e.copying }

// StatusPending says that a request is not answered after which a transaction may
// have another state.
func (e *List) StatusPending() bool { return e.settlingFrom(0) }

// StatusPendingBehind is StatusPending for what was sent behind the request whose reply is
// arriving.
func (e *List) StatusPendingBehind() bool { return e.settlingFrom(1) }

func (e *List) settlingFrom(first int) bool {
	for i := first; i < e.list.Len(); i++ {
		o := e.list.At(i)
		if wire.ReadyForQuery.Settles(o.request) && (o.whose == Forward || o.whose == Substitute) {
			return true
		}
	}
	return false
}

// Runs says that what the server does now, as far as its replies tell, is the
// client's: of pgherd's own only what is done at once, and may be answered late, is
// before it.
func (e *List) Runs() bool {
	for i := range e.list.Len() {
		switch o := e.list.At(i); {
		case o.whose == Forward, o.whose == Substitute, o.whose == Setup:
			return true
		case !o.whose.ours() && wire.ReadyForQuery.Settles(o.request):
			return false
		}
	}
	return false
}

// OwedToClient is how many of the replies owed are the client's.
func (e *List) OwedToClient() (n int) {
	for i := range e.list.Len() {
		if w := e.list.At(i).whose; w == Forward || w == Local || w == Substitute {
			n++
		}
	}
	return n
}

// Doubtful says that something that was noted may have to be taken back.
func (e *List) Doubtful() bool { return e.open+e.closed > 0 }

// InExtended says that a sequence of the extended protocol is not finished: an
// error in it would have the next request skipped.
func (e *List) InExtended() bool { return e.unsynced }

// push puts a request, or an answer of our own, at the end of the list.
func (e *List) push(o owed) {
	if o.undo != nil {
		e.open++
	}
	if wire.ReadyForQuery.Settles(o.request) {
		e.open, e.closed = 0, e.closed+e.open
	}
	if !o.whose.ours() {
		e.unsynced = !wire.ReadyForQuery.Settles(o.request)
	}
	e.list.Push(o)
}

// put and take are the two places where answers of our own come and go.
func (e *List) put(a Answer) {
	e.held += len(a.Bytes)
	e.locals.Push(a)
}

func (e *List) take() Answer {
	a := e.locals.Pop()
	e.locals.Trim(kept)
	e.held -= len(a.Bytes)
	return a
}

// Held is how many bytes of our own answers wait for their turn.
func (e *List) Held() int { return e.held }

// pop takes off the oldest.
func (e *List) pop() owed {
	o := e.list.Pop()
	e.list.Trim(kept)
	e.release(o)
	return o
}

func (e *List) release(o owed) {
	switch {
	case o.undo == nil:
	case e.closed > 0:
		e.closed--
	default:
		e.open--
	}
}

// Len is how many replies are owed.
func (e *List) Len() int { return e.list.Len() }

// Next is what becomes of the next reply; nothing owed reads as the client's own.
func (e *List) Next() Disposition { return e.head().whose }

// Mark says anew what becomes of the reply to the oldest request.
func (e *List) Mark(w Disposition) { e.list.At(0).whose = w }

// Words is what the client is told instead of the reply that is arriving.
func (e *List) Words() Answer { return *e.locals.At(0) }

// Reset makes an empty list of another server's; it keeps the memory of the old one,
// which is empty too.
func (e *List) Reset() { *e = List{list: e.list, locals: e.locals} }

// Full says that Limit replies are owed.
func (e *List) Full() bool { return e.list.Len() >= Limit }

// About is what AddAbout has said of the request whose reply is arriving; nil: nothing.
func (e *List) About() any { return e.head().about }

// Add notes that a request has been sent to the server.
func (e *List) Add(request wire.Kind, w Disposition, undo Undo) { e.AddAbout(request, w, undo, nil) }

// AddAbout is Add, with what the request is about.
func (e *List) AddAbout(request wire.Kind, w Disposition, undo Undo, about any) {
	switch {
	case !request.Asks():
	case e.Skipping:
		if request == wire.Sync {
			e.Skipping = false
			e.push(owed{request, w, undo, about})
		}
	case e.copying:
		switch request {
		case wire.Sync:
			e.ignored++
		default: // the end of the copy, or a fault in it: either way no reply of its own
			e.copying = false
		}
	case e.list.Len() == 0 && (request == wire.CopyDone || request == wire.CopyFail):
	default:
		e.push(owed{request, w, undo, about})
	}
}

// AddSubstitute is add for a request that will fail, and what the client is told.
// If code is not "", an error of another code is told as it is.
func (e *List) AddSubstitute(request wire.Kind, words []byte, code string) {
	e.push(owed{request: request, whose: Substitute})
	e.put(Answer{Bytes: words, Code: code})
}

// Answer is pgherd's own reply to a request.
type Answer struct {
	Bytes []byte
	Ready bool // ReadyForQuery follows, with the status of that moment
	Undo  Undo
	Code  string // of the error that it takes the place of; "": any
	// Beside: it is no reply, but comes before the next one.
	Beside bool
}

// Answer notes a reply of pgherd's own. now: nothing is owed before it, and no
// message is torn, half of it sent: it is to be sent; else NextLocal gives it
// back when its turn comes.
func (e *List) Answer(a Answer, torn bool) (now bool) {
	if e.Skipping {
		return false
	}
	if e.list.Len() == 0 && !torn {
		return true
	}
	w := Local
	if a.Beside {
		w = Beside
	}
	e.push(owed{whose: w, undo: a.Undo})
	e.put(a)
	return false
}

// Admit says whose a reply is that begins to arrive. An error is a violation
// of the protocol by the server.
func (e *List) Admit(kind wire.Kind) (Disposition, error) {
	head := e.head()
	if kind.Unasked() || kind.Within(head.request) {
		return head.whose, nil
	}
	if kind == wire.ReadyForQuery && e.list.Len() == 0 && e.Uncertain {
		return Forward, nil
	}
	return 0, fmt.Errorf("read from server: %v came while %v was owed", kind, head.request)
}

// Settle notes that an admitted reply has come to its end.
func (e *List) Settle(kind wire.Kind) {
	switch {
	case kind == wire.ErrorResponse:
		e.fail()
	case kind == wire.CopyInResponse:
		e.beginCopy()
	case e.list.Len() > 0 && kind.Settles(e.head().request):
		e.copying, e.ignored = false, 0
		if e.pop().whose == Substitute {
			e.take()
		}
		e.dropStray()
	case kind == wire.ReadyForQuery: // of a Sync that seemed to be ignored
		e.Skipping = false
	}
}

// dropStray: a CopyDone or CopyFail that is the oldest reached the server
// outside a copy and is owed nothing.
func (e *List) dropStray() {
	for e.head().request == wire.CopyDone || e.head().request == wire.CopyFail {
		e.pop()
	}
}

// head is the oldest request owed; nothing owed reads as a request of the client's.
func (e *List) head() owed {
	if e.list.Len() == 0 {
		return owed{}
	}
	return *e.list.At(0)
}

// NextLocal takes the answer whose turn has come; not ok: the turn is the
// server's, or nobody's.
func (e *List) NextLocal() (a Answer, ok bool) {
	if !e.head().whose.ours() {
		return Answer{}, false
	}
	e.pop()
	e.dropStray()
	return e.take(), true
}

// fail: an ErrorResponse came. The oldest request, if of the extended
// protocol, is over and so is all up to the next Sync.
func (e *List) fail() {
	if e.ignored > 0 {
		e.Uncertain = true
	}
	e.copying, e.ignored = false, 0
	if e.list.Len() == 0 || wire.ReadyForQuery.Settles(e.head().request) {
		return // ReadyForQuery is still to come, or the connection's end
	}
	var undone []Undo // the oldest is the one that failed
	for e.list.Len() > 0 && e.head().request != wire.Sync {
		o := e.pop()
		if o.whose.ours() || o.whose == Substitute {
			e.take()
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
	e.Skipping = e.list.Len() == 0
}

// beginCopy: the server takes copy data for the oldest request. What was sent
// ahead is read as part of the copy, and finishes no sequence.
func (e *List) beginCopy() {
	e.copying = true
	e.dropCopied()
	for i := range e.list.Len() {
		if o := e.list.At(i); !o.whose.ours() {
			e.unsynced = !wire.ReadyForQuery.Settles(o.request)
		}
	}
}

// dropCopied drops what is read as part of a copy: Syncs are ignored, the
// copy's end ends it, anything else is a fault in the data.
func (e *List) dropCopied() {
	for i := 1; i < e.list.Len() && e.copying; {
		next := e.list.At(i)
		switch {
		case next.whose == Beside: // it comes after the copy
			i++
			continue
		case next.whose == Local:
			return // not sent to the server; cannot be told apart further
		case next.request == wire.Sync:
			e.ignored++
		default:
			e.copying = false
		}
		e.release(*next)
		e.list.Remove(i)
	}
}
