package session

import "pgherd/proxy/wire"

// verdict is what becomes of a session that has lost its server.
type verdict uint8

const (
	survives  verdict = iota // the client does not notice: the next request gets another server
	repeats                  // what the client asked is asked again, of another server
	failsNow                 // the first request that is not answered gets an error, and its transaction is over
	failsNext                // the next request gets the error
	unknown                  // the same error, but what was sent may have been committed
	breaks                   // the session ends
)

func (v verdict) String() string {
	return [...]string{"survives", "repeats", "fails now", "fails with the next request", "outcome unknown", "ends"}[v]
}

// loss is what a session looks at when it has lost its server. It says nothing of why.
type loss struct {
	torn      bool   // the client has got the beginning of a message, not its end
	pin       string // what the session has left on the server and cannot have elsewhere; "": nothing
	uncertain bool   // nobody knows what the session had set before the open transaction
	owed      bool   // the client waits for replies
	commits   bool   // of what it waits for something may have been committed
	reads     bool   // all that it waits for are reads, of which nothing was told, and which may be repeated
	block     block
	renews    bool // the open block has only read, and can begin anew on another server
}

// block is the state of the transaction block in which the client is.
type block uint8

const (
	noBlock     block = iota
	openBlock         // it is open, and lost with the server
	failedBlock       // it has failed, as the client knows: it will be rolled back
)

// judge is the one rule for a lost server. What may have been committed is never reported
// as a success, and never repeated.
//
//	the client waits for     and                              the session
//	anything                 half a message was told, or      ends
//	                         it is pinned, or uncertain
//	nothing                  is in no block                   survives
//	nothing                  its block has failed             survives: the block can only be rolled back
//	nothing                  its block is open                survives if the block can begin anew,
//	                                                          else fails with the next request
//	something                they are reads, none answered,   repeats them, once
//	                         in no block, or in one that can
//	                         begin anew
//	something                it may have been committed       fails, and the outcome is unknown
//	something                else                             fails
func (l loss) judge() verdict {
	switch {
	case l.torn, l.pin != "", l.uncertain:
		return breaks
	case !l.owed && l.block == openBlock && !l.renews:
		return failsNext
	case !l.owed:
		return survives
	case l.reads && (l.block == noBlock || l.block == openBlock && l.renews):
		return repeats
	case l.commits:
		return unknown
	}
	return failsNow
}

// Errors of a lost server. A class that drivers take for the end of the connection (08) is
// used only where the outcome is not known; 40001 asks an application to try again.
var (
	lostTransaction = wire.Fault{Severity: "ERROR", Code: "40001", Message: "the connection to the database server was lost, and the transaction with it",
		Detail: "Nothing of it was committed.", Hint: "Try the transaction again."}
	lostStatement = wire.Fault{Severity: "ERROR", Code: "40001", Message: "the connection to the database server was lost before the statement was answered",
		Detail: "It has changed nothing.", Hint: "Try it again."}
	lostTwice = wire.Fault{Severity: "ERROR", Code: "40001", Message: "the connection to the database server was lost before the statement was answered, on two servers one after the other",
		Detail: "It has changed nothing.", Hint: "Before you try it again, look in the servers' logs whether it is this statement that makes them crash."}
	lostOutcome = wire.Fault{Severity: "ERROR", Code: "08007", Message: "the connection to the database server was lost, and it is not known whether what was sent was committed",
		Hint: "Look at the data before you try it again."}
)
