package session

import (
	"pgherd/proxy/expect"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// lastAnswers makes the answers to what a client waits for whose server is lost: the first
// request gets the error, the rest what a server answers after that.
type lastAnswers struct {
	out      []byte
	fault    *wire.Fault
	block    byte // the status of the transaction, as the client is told it
	told     bool // the client knows that its block has failed
	erred    bool // the request, or the sequence, at hand has got its error
	untold   bool // the request at hand has got nothing
	skipping bool // up to a Sync
}

// add answers the request that was sent next.
func (a *lastAnswers) add(w *expect.Lost) {
	switch {
	case w.Whose == expect.Beside:
		a.out = append(a.out, w.Answer.Bytes...)
	case !w.Client(), a.skipping && w.Request != wire.Sync:
	case w.Whose == expect.Local && w.Answer.Ready: // a Query that pgherd answers in any transaction
		a.out = append(a.out, w.Answer.Bytes...)
		a.ready()
	case w.Request == wire.Sync:
		if !a.told {
			a.fail()
		}
		a.ready()
	case w.Request == wire.Query || w.Request == wire.FunctionCall:
		a.whole(w)
	default:
		a.fail()
		a.skipping = true
	}
}

// whole answers a Query or FunctionCall. What ends a block does so, unless it would commit.
func (a *lastAnswers) whole(w *expect.Lost) {
	script, _ := w.About.(*query.Script)
	ends := a.block == wire.Failed && script.Ends() && (a.told || !script.Commits())
	switch {
	case !ends:
		a.fail()
	case a.untold:
		a.out = wire.AppendCommandComplete(a.out, "ROLLBACK")
		fallthrough
	default: // the client has got that already
		a.block = wire.Idle
	}
	a.ready()
}

// fail tells the error, unless there was one.
func (a *lastAnswers) fail() {
	switch {
	case a.erred:
	case a.block == wire.Failed && a.told:
		a.out = wire.AppendError(a.out, aborted)
	default:
		a.out = wire.AppendError(a.out, a.fault)
	}
	a.told, a.erred = true, true
}

// ready ends the request or the sequence.
func (a *lastAnswers) ready() {
	a.out = wire.AppendReadyForQuery(a.out, a.block)
	a.erred, a.untold, a.skipping = false, true, false
}
