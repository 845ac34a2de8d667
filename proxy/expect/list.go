// Package expect keeps, in order, which replies a server still owes and what becomes of each (I1).
// Replies to the client's requests go to the client, replies to pgherd's own requests do not, and
// pgherd's own answers take their turn among them. It does no I/O.
package expect

import (
	"fmt"
	"slices"

	"pgherd/proxy/fifo"
	"pgherd/proxy/wire"
)

// kept is for how many entries an empty list keeps its memory.
const kept = 32

// Disposition says what becomes of the reply to a request.
type Disposition uint8

const (
	Forward    Disposition = iota // the client has asked, and gets the reply
	Swallow                       // pgherd has asked, and the client never sees the reply
	Local                         // pgherd answers the client itself, when the turn comes
	Beside                        // pgherd sends something before the next reply to the client, which is no reply itself
	Substitute                    // the server fails in the place of the client's request, and the client gets pgherd's words
	Setup                         // pgherd has prepared the client's next request; the client gets an error, and no other reply
	Capture                       // pgherd has asked a question of its own, and reads the answer
	Restore                       // pgherd brings the server to the session's settings; an error ends the session
	Attempt                       // as Swallow, but an error does no harm
	Retry                         // the client has asked, and gets the reply to a repetition instead
)

// ours says that pgherd itself makes the reply, which is in locals. The server was sent nothing.
func (w Disposition) ours() bool { return w == Local || w == Beside }

// owed is a reply that has not come, or has not come as a whole.
type owed struct {
	request wire.Kind
	whose   Disposition
	undo    Undo
	about   any
}

// Undo takes back what was noted when a request was sent. It is called if the request has failed
// itself (erred), or if the server has skipped it. It is nil if nothing was noted.
type Undo func(erred bool)

// Limit bounds the replies owed at once (I5); beyond it the client is not read. A server holds back
// at most 8 KB of replies until a Sync. Even of the smallest replies that is less than Limit, so
// waiting for some never dead-locks.
const Limit = 1 << 14

// List is the ordered list of replies still owed to the client or to pgherd. Every request that is
// sent to the server has an entry in it. The server owes nothing (I2) if the list is empty.
//
// Besides the table of wire.Kind it knows these rules of the protocol: after an error in the
// extended protocol a server skips to the next Sync; while it takes copy data it ignores Flush and
// Sync; it ignores CopyDone and CopyFail outside of a copy.
type List struct {
	list   fifo.Queue[owed]
	locals fifo.Queue[Answer] // pgherd's own answers for those entries that have one, in order
	held   int                // bytes of locals
	// Skipping says that the server ignores all up to a Sync, which was not sent yet.
	Skipping bool
	// copying says that the oldest request takes copy data, whose end was not sent yet.
	copying bool
	// ignored counts the Syncs that a copy has ignored. If the copy fails, the server may have
	// read them after the failure, and may answer them.
	ignored int
	// open and closed count the entries with an Undo, those since the last Sync or Query and those
	// before it. While there are some of the latter it is not known what a new request means.
	open, closed int
	// unsynced says that a sequence of the extended protocol is not finished. A transaction may be
	// open then, whatever status the server has reported last.
	unsynced bool
	// asked says that a request of the client's is in that sequence.
	asked bool
	// begun says that a part of the reply to the oldest request has come.
	begun bool
	// Uncertain says that it cannot be known how many replies are still to come, because of an
	// error after ignored Syncs, or that the session does not trust the server any more. The
	// server is never reused.
	Uncertain bool
}

// Empty says that the server owes nothing (I2), and does not skip what comes next.
func (e *List) Empty() bool { return e.list.Len() == 0 && !e.Skipping && !e.copying }

// RepliesPending says that replies are still to come without another request.
func (e *List) RepliesPending() bool { return e.list.Len() > 0 && !e.copying }

// Unsettled says that what was noted before the last Sync or Query may have to be taken back, and
// that the replies which decide this come without another request.
func (e *List) Unsettled() bool { return e.closed > 0 && !e.copying }

// StatusPending says that a request of the client's is not answered yet whose ReadyForQuery may
// report another transaction status.
func (e *List) StatusPending() bool { return e.settlingFrom(0) }

// StatusPendingBehind is StatusPending for the requests that were sent after the one whose reply
// is arriving.
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

// Runs says that the server, as far as its replies show, is working on a request of the client's.
// Before that request there may be small requests of pgherd's own without a ReadyForQuery, which
// the server has done already and only answers late.
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

// Begun says that a part of the reply to the oldest request has come.
func (e *List) Begun() bool { return e.begun }

// OwedToClient is how many of the replies owed are for the client.
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

// InExtended says that a sequence of the extended protocol is not finished, so that an error in it
// makes the server skip the next request.
func (e *List) InExtended() bool { return e.unsynced }

// ClientInExtended says that a request of the client's is in a sequence that is not finished. Before
// that, pgherd may have begun the sequence, to prepare the server for such a request.
func (e *List) ClientInExtended() bool { return e.asked }

// inSequence notes what a request means to the sequence of the extended protocol.
func (e *List) inSequence(o *owed) {
	if o.whose.ours() {
		return
	}
	e.unsynced = !wire.ReadyForQuery.Settles(o.request)
	e.asked = e.unsynced && (e.asked || o.whose == Forward || o.whose == Substitute)
}

// push puts a request, or an answer of pgherd's own, at the end of the list.
func (e *List) push(o owed) {
	if o.undo != nil {
		e.open++
	}
	if wire.ReadyForQuery.Settles(o.request) {
		e.open, e.closed = 0, e.closed+e.open
	}
	e.inSequence(&o)
	e.list.Push(o)
}

// put and take are the only places where pgherd's own answers are added and removed.
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

// Held is how many bytes of pgherd's own answers wait for their turn.
func (e *List) Held() int { return e.held }

// pop removes the oldest entry.
func (e *List) pop() owed {
	o := e.list.Pop()
	e.begun = false
	e.list.Trim(kept)
	e.release(o)
	return o
}

// release notes that an entry needs no Undo any more.
func (e *List) release(o owed) {
	switch {
	case o.undo == nil:
	case e.closed > 0:
		e.closed--
	default:
		e.open--
	}
}

// LastBeforeReady says that nothing but a ReadyForQuery follows the reply that is arriving:
// it answers a Query, or is followed by the reply to a Sync.
func (e *List) LastBeforeReady() bool {
	if wire.ReadyForQuery.Settles(e.head().request) {
		return true
	}
	return e.list.Len() > 1 && e.list.At(1).request == wire.Sync
}

// Len is how many replies are owed.
func (e *List) Len() int { return e.list.Len() }

// Next is the disposition of the next reply. If nothing is owed, it is that of the client's own.
func (e *List) Next() Disposition { return e.head().whose }

// Mark changes the disposition of the reply to the oldest request.
func (e *List) Mark(w Disposition) { e.list.At(0).whose = w }

// Words is what the client gets instead of the reply that is arriving.
func (e *List) Words() Answer { return *e.locals.At(0) }

// Reset makes the list that of another server. The list is empty before and after; it keeps its
// memory.
func (e *List) Reset() { *e = List{list: e.list, locals: e.locals} }

// Full says that Limit replies are owed.
func (e *List) Full() bool { return e.list.Len() >= Limit }

// About is what AddAbout has noted for the request whose reply is arriving; nil if nothing.
func (e *List) About() any { return e.head().about }

// Add notes that a request has been sent to the server.
func (e *List) Add(request wire.Kind, w Disposition, undo Undo) { e.AddAbout(request, w, undo, nil) }

// AddAbout is Add with a note of what the request is about.
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
		default: // it ends the copy, or makes it fail, and has no reply of its own
			e.copying = false
		}
	case e.list.Len() == 0 && (request == wire.CopyDone || request == wire.CopyFail):
	default:
		e.push(owed{request, w, undo, about})
	}
}

// AddSubstitute is Add for a request that will fail, and for whose error the client gets words. If
// code is not "", the client gets an error of another code as it is.
func (e *List) AddSubstitute(request wire.Kind, words []byte, code string) {
	e.push(owed{request: request, whose: Substitute})
	e.put(Answer{Bytes: words, Code: code})
}

// Answer is pgherd's own reply to a request.
type Answer struct {
	Bytes []byte
	Ready bool // a ReadyForQuery follows, with the status at that moment
	Undo  Undo
	Code  string // the code of the error that it replaces; "" for any
	// Beside says that it is no reply, but comes before the next one.
	Beside bool
}

// Answer notes a reply of pgherd's own. now is true if the caller is to send it at once, because
// nothing is owed before it, and no message is torn (the client has got half of it). If not,
// NextLocal returns it when its turn comes.
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

// Admit is the disposition of a reply that begins to arrive. An error means that the server has
// violated the protocol.
func (e *List) Admit(kind wire.Kind) (Disposition, error) {
	head := e.head()
	e.begun = e.begun || !kind.Unasked()
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
		settled := e.pop()
		if settled.whose == Substitute {
			e.take()
		}
		e.dropStray()
	case kind == wire.ReadyForQuery: // it answers a Sync that seemed to be ignored
		e.Skipping = false
	}
}

// dropStray removes a CopyDone or CopyFail that is the oldest entry. It has reached the server
// outside of a copy, so it has no reply.
func (e *List) dropStray() {
	for e.head().request == wire.CopyDone || e.head().request == wire.CopyFail {
		e.pop()
	}
}

// head is the oldest entry. If nothing is owed, it is as one of the client's.
func (e *List) head() owed {
	if e.list.Len() == 0 {
		return owed{}
	}
	return *e.list.At(0)
}

// NextLocal takes the answer of pgherd's own whose turn has come. It is not ok if the next reply is
// the server's, or none is owed.
func (e *List) NextLocal() (a Answer, ok bool) {
	if !e.head().whose.ours() {
		return Answer{}, false
	}
	e.pop()
	e.dropStray()
	return e.take(), true
}

// fail notes an ErrorResponse. If the oldest request is one of the extended protocol, the server
// skips all up to the next Sync, so none of these requests gets a reply any more.
func (e *List) fail() {
	if e.ignored > 0 {
		e.Uncertain = true
	}
	e.copying, e.ignored = false, 0
	if e.list.Len() == 0 || wire.ReadyForQuery.Settles(e.head().request) {
		return // a ReadyForQuery is still to come, or the end of the connection
	}
	var undone []Undo // the first is that of the request that has failed
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

// beginCopy notes that the server now takes copy data for the oldest request. It reads what was
// sent ahead as part of the copy, so that a Sync there finishes no sequence.
func (e *List) beginCopy() {
	e.copying = true
	e.dropCopied()
	for i := range e.list.Len() {
		e.inSequence(e.list.At(i))
	}
}

// dropCopied removes the entries that the server reads as part of a copy. It ignores Syncs, and any
// other message ends the copy or makes it fail.
func (e *List) dropCopied() {
	for i := 1; i < e.list.Len() && e.copying; {
		next := e.list.At(i)
		switch {
		case next.whose == Beside: // it is sent after the copy
			i++
			continue
		case next.whose == Local:
			return // the server was not sent it, and what follows cannot be told apart
		case next.request == wire.Sync:
			e.ignored++
		default:
			e.copying = false
		}
		e.release(*next)
		e.list.Remove(i)
	}
}
