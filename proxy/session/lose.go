package session

import (
	"errors"
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

// moves says that the session can go on with another server.
func (s *Session) moves() bool {
	return s.follows && s.set.FailoverWait > 0 && s.state != Closing && !s.leaving
}

// outlive decides what becomes of the session after an error. It is nil if that was the loss
// of its server, and the session goes on.
func (s *Session) outlive(err error) error {
	why, lost := errors.AsType[gone](err)
	if !lost || !s.moves() || s.server == nil {
		return err
	}
	return s.lose(why)
}

// lose parts with a server that is lost, and tells the client what that means to it.
func (s *Session) lose(why gone) error {
	s.loop.Suspect(s.server.Key.Node, s.server.Endpoint.Ended())
	l := loss{torn: s.torn, block: s.blockOf()}
	untold, copying := s.replies.passed == 0, s.expect.Copying()
	implicit := s.expect.InExtended() && s.status == wire.Idle // a transaction that a Sync would end
	skipping := s.expect.Skipping
	waiting := s.expect.Abandon()
	for i := range waiting {
		l.owed = l.owed || waiting[i].Client()
	}
	l.commits = s.mayHaveCommitted(waiting, copying)
	l.reads = untold && s.repeatsReads(waiting)
	if !l.owed && l.block == noBlock && !implicit { // what the last transaction has left counts
		s.tracker.Begin()
	}
	pinned, certain := s.tracker.Lose()
	l.pin, l.uncertain = pinned, !certain
	if implicit && !l.owed && !skipping {
		l.block = openBlock
	}
	begun := s.begun
	s.partWithLost()
	switch v := l.judge(); v {
	case breaks:
		return l.explain(why)
	case survives:
		s.refusing = s.refusing || skipping
		if l.block == failedBlock {
			s.transaction.breakOff(begun, s.loop.Now())
		}
	case repeats:
		s.rerun.due = true
	case failsNext:
		s.transaction.mourn(begun, s.loop.Now(), implicit)
	case failsNow, unknown:
		s.answerLost(waiting, l, v, begun)
	}
	s.settle()
	return nil
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

// partWithLost forgets the server and all that was under way on it.
func (s *Session) partWithLost() {
	if s.lost != nil {
		s.lost()
	}
	s.asking, s.lost, s.unread, s.torn = nil, nil, nil, false
	s.missTarget()
	s.letOthers()
	s.retry.end()
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

// answerLost answers what the client waits for: the first of it with an error, the rest as a
// server does after that.
func (s *Session) answerLost(waiting []expect.Lost, l loss, v verdict, begun *query.Script) {
	fault, status := &lostStatement, byte(wire.Idle)
	switch {
	case v == unknown:
		fault = &lostOutcome
	case l.block != noBlock:
		fault, status = &lostTransaction, wire.Failed
	}
	var out []byte
	told, skipping := false, false
	fail := func() {
		if status == wire.Failed && told {
			out = wire.AppendError(out, aborted)
		} else {
			out = wire.AppendError(out, fault)
		}
		told = true
	}
	for i := range waiting {
		w := &waiting[i]
		switch {
		case w.Whose == expect.Beside || w.Whose == expect.Local && !told:
			out = append(out, w.Answer.Bytes...)
		case !w.Client() || w.Whose == expect.Local:
		case w.Request == wire.Sync:
			if !told {
				fail()
			}
			out, skipping = wire.AppendReadyForQuery(out, status), false
		case w.Request == wire.Query && status == wire.Failed && told && rollsBack(w.About):
			status = wire.Idle
			out = wire.AppendReadyForQuery(wire.AppendCommandComplete(out, "ROLLBACK"), status)
		case w.Request == wire.Query || w.Request == wire.FunctionCall:
			fail()
			out = wire.AppendReadyForQuery(out, status)
		case !skipping:
			fail()
			skipping = true
		}
	}
	s.client.Write(out)
	s.refusing = skipping
	if status == wire.Failed {
		s.transaction.breakOff(begun, s.loop.Now())
	}
}

func rollsBack(about any) bool {
	script, _ := about.(*query.Script)
	return script.Ends() && !script.Commits()
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
// committed: a COMMIT, or outside of a block whatever may write.
func (s *Session) mayHaveCommitted(waiting []expect.Lost, copying bool) bool {
	inBlock := s.status != wire.Idle
	for i := range waiting {
		w := &waiting[i]
		switch w.Request {
		case wire.Query, wire.Execute:
			script := scriptOf(w.About)
			switch {
			case !w.Client():
			case i == 0 && copying: // the end of the data was not sent
			case inBlock && script.Commits(), !inBlock && s.mayWrite(script):
				return true
			}
			inBlock = script.Begins() || inBlock && !script.Ends() && !script.EndsFirst()
		case wire.FunctionCall:
			if !inBlock {
				return true
			}
		case wire.Sync:
			if !inBlock && s.recent.may(s.mayWrite) {
				return true
			}
		}
	}
	return false
}

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
	if !s.bereaved || m.Kind == wire.Flush || m.Kind == wire.Sync && !s.implicit {
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
