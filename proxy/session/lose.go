package session

import (
	"cmp"
	"errors"
	"slices"
	"sync"

	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/statements"
	"pgherd/proxy/wire"
)

// gone is the error of a lost server. Where another server can take its place, lose decides
// what becomes of the session; else it ends it.
type gone struct{ *wire.Fault }

func (g gone) Unwrap() error { return g.Fault }

// outlive decides what becomes of the session after an error. It is nil if that was the loss
// of its server, and the session goes on. A client that the server has told a fatal error
// does not expect to.
func (s *Session) outlive(err error) error {
	why, lost := errors.AsType[gone](err)
	if !lost || !s.replaceable() || s.leaving || s.server == nil || s.fatal {
		return err
	}
	return s.lose(why)
}

// lose parts with a server that is lost, and tells the client what that means to it.
func (s *Session) lose(why gone) error {
	s.loop.Suspect(s.server.Key.Node, s.server.Endpoint.Ended())
	l, last := s.weigh()
	waiting := s.expect.Abandon()
	for i := range waiting {
		l.owed = l.owed || waiting[i].Client()
	}
	last.implicit = last.implicit && !l.owed && !last.skipping
	l.commits = s.mayHaveCommitted(waiting, last)
	reads := s.replies.passed == 0 && s.repeatsReads(waiting)
	if reads {
		s.rerun.loses(s.server, s.loop.Now())
	}
	last.again = reads && s.rerun.exhausted()
	l.reads = reads && !last.again
	if last.implicit {
		l.block = openBlock
	}
	if !l.owed && l.block == noBlock { // what the last transaction has left counts
		s.leaveBehind()
	}
	outlives := s.tracker.Outlives()
	pinned, certain := s.tracker.Lose()
	l.pin, l.uncertain = pinned, !certain
	if l.block != noBlock { // the client would believe that what it has made there outlives its ROLLBACK
		l.pin = cmp.Or(pinned, outlives)
	}
	begun, begunAt := s.begun, s.begunAt
	l.renews = s.renews()
	v := l.judge()
	s.partWithLost()
	if l.block == openBlock && (v == survives || v == repeats) {
		s.transaction.renew(begun, begunAt)
	}
	switch v {
	case breaks:
		return l.explain(why)
	case survives:
		s.refusing = s.refusing || last.skipping
		if l.block == failedBlock {
			s.transaction.breakOff(begun, s.loop.Now())
		}
	case repeats:
		s.rerun.due = true
	case failsNext:
		s.transaction.mourn(begun, s.loop.Now(), last.implicit)
	case failsNow, unknown:
		s.answerLost(waiting, l, v, last, begun)
	}
	s.settle()
	return nil
}

// present is what was under way on a server when it was lost.
type present struct {
	untold   bool // of the reply that was arriving the client has got nothing
	erred    bool // it has got its error
	copying  bool // the oldest request takes copy data, whose end was not sent
	skipping bool // the server skipped all up to a Sync, which was not sent
	implicit bool // a transaction is open that a Sync would end
	again    bool // reads were lost that were lost before, with another server
}

// weigh is what is lost with the server, as far as the list of replies does not tell it. A
// block in which the client has got an error has failed.
func (s *Session) weigh() (l loss, p present) {
	l = loss{torn: s.torn, block: s.blockOf()}
	switch open := s.recent.leaves(l.block != noBlock); {
	case !open:
		l.block = noBlock
	case l.block == noBlock:
		l.block = openBlock
	}
	p = present{untold: !s.expect.Begun(), erred: s.erred, copying: s.expect.Copying(), skipping: s.expect.Skipping,
		implicit: s.expect.ClientInExtended() && l.block == noBlock}
	if p.erred && l.block == openBlock {
		l.block = failedBlock
	}
	return l, p
}

// leaveBehind keeps what the transaction that has ended has set, where that is certain.
func (s *Session) leaveBehind() {
	s.tracker.Settle()
	if s.tracker.Certain() {
		s.commit()
	} else {
		s.tracker.Doubt()
	}
	s.tracker.Begin()
}

// blockOf is the transaction block in which the client is, as far as it was told.
func (s *Session) blockOf() block {
	switch s.status {
	case wire.InTransaction:
		return openBlock
	case wire.Failed:
		return failedBlock
	}
	return noBlock
}

// partWithLost forgets the server and all that was under way on it. Requests that are to be
// repeated still are.
func (s *Session) partWithLost() {
	if s.lost != nil {
		s.lost()
	}
	s.lost, s.unread, s.erred = nil, nil, false
	s.dropping = s.dropping || !s.requests.cut.Between() // the rest of a request, the first pieces of which are lost
	s.replication, s.exposed, s.portalOf = commitSure, false, nil
	s.redo, s.recent = redo{}, recent{}
	s.missTarget()
	s.letOthers()
	if !s.retry.due {
		s.retry.end()
	}
	s.release(pool.Discard)
	s.transaction.begun, s.transaction.begins = nil, nil
}

// explain says why the session has to end with its server.
func (l loss) explain(why gone) error {
	f := *why.Fault
	switch {
	case l.torn:
		f.Detail += " Half of a message had been passed on."
	case l.pin != "":
		f.Detail += " The session cannot go on with another server: " + l.pin + "."
	case l.uncertain:
		f.Detail += " The session cannot go on with another server: it is not known what it has set."
	}
	return &f
}

// answerLost answers what the client waits for.
func (s *Session) answerLost(waiting []expect.Lost, l loss, v verdict, p present, begun *query.Script) {
	a := lastAnswers{fault: &lostStatement, block: wire.Idle, told: l.block == failedBlock, erred: p.erred, untold: p.untold}
	switch {
	case v == unknown && l.block == failedBlock && !slices.ContainsFunc(waiting, revives):
		a.fault, a.block = &lostOutcome, wire.Failed // what comes behind the block may be committed
		s.fresh.wrote = s.loop.Now()
	case v == unknown:
		a.fault, a.told = &lostOutcome, false
		s.fresh.wrote = s.loop.Now()
	case l.block != noBlock:
		a.fault, a.block = &lostTransaction, wire.Failed
	}
	if p.again {
		a.fault = &lostTwice
	}
	for i := range waiting {
		a.add(&waiting[i])
	}
	s.client.Write(a.out)
	s.rerun.crashes = crashes{} // the next request is another one, and may be asked again
	s.refusing = a.skipping
	if a.block == wire.Failed {
		s.transaction.breakOff(begun, s.loop.Now())
	}
}

// scriptOf is what a request of the client's runs; nil: nobody knows.
func scriptOf(about any) *query.Script {
	switch it := about.(type) {
	case *query.Script:
		return it
	case *statements.Statement:
		if it != nil {
			return it.Script
		}
	}
	return nil
}

// mayHaveCommitted says that of what was sent, and is not answered, something may have been
// committed: a COMMIT, or outside of a block whatever may write. In a block that has failed
// neither may be, and what has got its error is not.
func (s *Session) mayHaveCommitted(waiting []expect.Lost, p present) bool {
	inBlock, failed := s.recent.leaves(s.status != wire.Idle), s.status == wire.Failed
	began := s.status != wire.Idle
	before := func(script *query.Script) bool { return began && script.Commits() || !inBlock && s.mayWriteNow(script) }
	if !p.erred && s.recent.may(before) && slices.ContainsFunc(waiting, endsSequence) {
		return true // what was executed in a sequence, and answered, is committed at its end
	}
	for i := range waiting {
		w := &waiting[i]
		script := scriptOf(w.About)
		switch w.Request {
		case wire.Query, wire.Execute:
			failed = failed && (script.Ends() || w.Client() && !script.Recovers() && !script.EndsFirst())
			switch {
			case !w.Client():
			case i == 0 && (p.copying || p.erred): // the end of the data was not sent, or it has failed
			case inBlock && !failed && script.Commits(), !inBlock && s.mayWriteNow(script):
				return true
			}
			inBlock = script.Begins() || inBlock && !script.Ends() && !script.EndsFirst()
			failed = failed && inBlock
		case wire.FunctionCall:
			if !inBlock {
				return true
			}
		}
	}
	return false
}

// revives says that a request may end a block that has failed in a way that lastAnswers does
// not follow.
func revives(w expect.Lost) bool {
	if w.Request != wire.Query && w.Request != wire.Execute {
		return false
	}
	script := scriptOf(w.About)
	return script == nil || script.Unknown() || script.EndsFirst() || script.Recovers() && !(w.Request == wire.Query && script.Ends())
}

// endsSequence says that a request ends a sequence of the extended protocol: a Query does so
// as a Sync.
func endsSequence(w expect.Lost) bool { return wire.ReadyForQuery.Settles(w.Request) }

// repeatsReads says that all the client waits for are reads, of which there is a copy, and
// none is answered.
func (s *Session) repeatsReads(waiting []expect.Lost) bool {
	asked := 0
	for i := range waiting {
		w := &waiting[i]
		if !w.Client() {
			continue
		}
		if asked++; w.Whose != expect.Forward {
			return false
		}
		if w.Request == wire.Query || w.Request == wire.Execute {
			if !s.onlyReads(scriptOf(w.About)) {
				return false
			}
		}
	}
	return s.rerun.holds(asked)
}

// bereft tells the client, with its next request, that its transaction was lost. A ROLLBACK
// is what it wants anyway; a COMMIT gets the error, and ends the block.
func (s *Session) bereft(m *wire.Message) result {
	switch m.Kind {
	case wire.Flush, wire.CopyData, wire.CopyDone, wire.CopyFail: // they have no reply
		return onward
	}
	if !s.bereaved || m.Kind == wire.Sync && !s.implicit {
		return onward
	}
	s.bereaved = false
	if s.implicit {
		s.transaction.over()
		s.implicit = false
		s.answer(wire.AppendError(nil, &lostTransaction), false)
		if s.refusing = true; m.Kind == wire.Query || m.Kind == wire.FunctionCall || m.Kind == wire.Sync {
			s.refusing = false
			s.answer(nil, true)
		}
		return handled
	}
	s.transaction.fail()
	var script *query.Script
	if m.Kind == wire.Query || m.Kind == wire.Parse {
		if err := s.readScript(m); err != nil {
			return refuseFor(err)
		}
		script = s.script
	} else if _, _, st := s.bound(m); m.Kind == wire.Bind && st != nil {
		script = st.Script
	}
	switch {
	case script.Ends() && !script.Commits():
		return onward
	case m.Kind == wire.Query && script.Ends():
		s.transaction.over()
	}
	return refuseFor(&lostTransaction)
}

// brokenBegin is the BEGIN of a block that was lost, where that was not held back.
var brokenBegin = sync.OnceValue(func() *query.Script { return query.Parse([]byte("BEGIN"), query.Syntax{}) })
