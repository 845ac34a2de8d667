package route

import "cmp"

// Session is what a session is in, and has done so far, as far as rules look at it.
type Session struct {
	Server      Server
	State       State
	Transaction Block
	Wrote       Wrote
	Pin         string // why it keeps its server of the primary; "": it does not
	Uncertain   bool   // what it has left on the primary is not known yet
	Outdated    bool   // what is known of the database is not up to date
	Changes     bool   // the request may change the session
}

// Server is what a session has of servers.
type Server uint8

const (
	NoServer Server = iota
	OfPrimary
	OfStandby
)

// State is how a session's requests fare now.
type State uint8

const (
	Going    State = iota // they run
	Skipping              // one of a pipeline has failed, and the server reads on to its end
	Stuck                 // the transaction has failed, and what ends it was not sent yet
)

// Block is the transaction in which the request will be.
type Block struct {
	Open      bool // it is a block that was begun
	Placed    bool // and has sent a statement to a node
	Held      bool // its BEGIN was held back until a statement said where it belongs
	ReadOnly  bool
	Insists   bool // a standby would refuse it: READ WRITE, or serializable outside of a block
	Isolation Isolation
}

// Isolation is a transaction's level.
type Isolation uint8

const (
	ReadCommitted  Isolation = iota
	RepeatableRead           // all its statements share a snapshot
	Serializable             // likewise; no standby can do it
)

// snapshot says that all statements of the transaction share one.
func (t *Block) snapshot() bool { return t.Isolation != ReadCommitted }

// Wrote is what has written so far.
type Wrote struct {
	Now     bool // the open transaction
	InBlock bool // an earlier transaction block of the session
	Ever    bool // any statement of the session
}

// Stays says that a transaction with one snapshot has begun on a standby, where it has to
// end.
func (s *Session) Stays() bool {
	t := &s.Transaction
	return s.Server == OfStandby && t.Held && t.Open && t.snapshot()
}

// reaches says that the session may send a signal to a process of another node than the
// primary. It needs nothing to be known of the database, and leaves nothing in the session.
// But a standby has no such transaction as some are, or has one with too old a snapshot.
func (s *Session) reaches() bool {
	return s.Pin == "" && !s.Uncertain && !s.Transaction.snapshot() && !s.Transaction.Insists
}

func server(r *Request, _ *Settings) Decision {
	s := &r.Session
	switch {
	case s.Server == OfPrimary:
		return here("the session has a server of the primary")
	case s.State == Skipping:
		return here("what came before it has failed")
	case s.State == Stuck && s.Server == OfStandby && s.Transaction.Held && r.Script.EndsFirst():
		return goesOn
	case s.State == Stuck:
		return here("its transaction has failed")
	}
	return Decision{}
}

func shared(r *Request, _ *Settings) Decision {
	switch {
	case !r.Session.Stays():
		return Decision{}
	case r.Script.EndsFirst():
		return goesOn
	}
	return here("all statements of its transaction share a snapshot")
}

// goesOn: what follows in the same text is of another transaction, which may write.
var goesOn = primary("it ends its transaction and goes on with another")

func here(why string) Decision { return Decision{Where: Here, Why: why} }

func pinned(r *Request, _ *Settings) Decision {
	if r.Session.Pin == "" && !r.Session.Uncertain {
		return Decision{}
	}
	return primary(cmp.Or(r.Session.Pin, "what its session has left on the primary is not known yet"))
}

func outdated(r *Request, _ *Settings) Decision {
	if r.Session.Outdated {
		return primary("what is known of the database is not up to date, and asked for with the next statement")
	}
	return Decision{}
}

// keeps is why a session keeps on the primary what could leave it; nil: it does not.
func (s *Session) keeps() (d Decision) {
	switch {
	case s.Changes:
		d = primary("it may change its session")
	case s.Transaction.Insists:
		d = primary("its transaction is of a kind that no standby has")
	}
	return d
}
