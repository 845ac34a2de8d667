package pool

import "pgherd/proxy/wire"

// Mode says when a server is given back while its client stays.
type Mode uint8

const (
	Session     Mode = iota // never; only when the client leaves
	Transaction             // at the end of each transaction
	Statement               // as Transaction, and explicit transactions are refused
)

func (m Mode) String() string { return [...]string{"session", "transaction", "statement"}[m] }

// Owing says whether a server still has to reply, to anybody.
type Owing uint8

const (
	Nothing   Owing = iota
	Replies         // it owes some
	Uncertain       // what it owes cannot be known
)

// Moment is the state in which somebody asks whether a server is to be given back.
type Moment struct {
	Ended   bool // the client is gone
	Owes    Owing
	Status  byte // the last transaction status, wire.Idle …
	Used    bool // the server may hold a session's state, so it needs a reset
	Pinned  bool // the server holds state that its session still needs
	Expired bool // the server is past its life time
	Single  bool // the server is for one client only, as for replication
}

// Verdict is what becomes of a server.
type Verdict uint8

const (
	Keep    Verdict = iota // it stays with its session
	Return                 // it returns to the pool as it is
	Reset                  // it returns to the pool after reset_query_list
	Discard                // it is closed, never reused
)

func (v Verdict) String() string {
	return [...]string{"keep", "return", "reset", "discard"}[v]
}

// Judge is the release rule (I2): a server returns to the pool only if it owes nothing
// and is idle. If its state cannot be known, or it is too old, it is closed.
func (m Mode) Judge(at Moment) Verdict {
	if !at.Ended {
		return m.judgeStaying(at)
	}
	switch {
	case at.Owes != Nothing, at.Expired, at.Single:
		return Discard
	case at.Used, at.Pinned, at.Status != wire.Idle:
		return Reset // which also ends an open transaction
	default:
		return Return
	}
}

// judgeStaying is the rule while the client is there, and waits or is silent.
func (m Mode) judgeStaying(at Moment) Verdict {
	switch {
	case m == Session, at.Single, at.Pinned, at.Owes != Nothing, at.Status != wire.Idle:
		return Keep
	case at.Expired:
		return Discard
	case at.Used:
		return Reset
	default:
		return Return
	}
}

// Modes says which Mode a client gets. The zero value is Session for all.
type Modes struct {
	Default Mode
	Entries []ModeEntry // the first that matches wins; with none it is Default
}

// ModeEntry gives a Mode to the clients of a database and a user; "" is any.
type ModeEntry struct {
	Database, User string
	Mode           Mode
}

// Of is the Mode of a user's clients in a database. Names are compared exactly,
// including case.
func (m Modes) Of(database, user string) Mode {
	for _, e := range m.Entries {
		if (e.Database == "" || e.Database == database) && (e.User == "" || e.User == user) {
			return e.Mode
		}
	}
	return m.Default
}
