package pool

import "pgherd/proxy/wire"

// Mode says when a server is given back while its client stays.
type Mode uint8

const (
	Session     Mode = iota // never: when the client leaves
	Transaction             // at the end of each transaction
	Statement               // as Transaction, and explicit ones are refused
)

func (m Mode) String() string { return [...]string{"session", "transaction", "statement"}[m] }

// Owing says whether a server still has to reply, to anybody.
type Owing uint8

const (
	Nothing   Owing = iota
	Replies         // it owes some
	Uncertain       // what it owes cannot be known
)

// Moment is the state in which somebody asks whether to give a server back.
type Moment struct {
	Ended   bool // the client is gone
	Owes    Owing
	Status  byte // transaction status last told, wire.Idle …
	Used    bool // it may hold a session's state: it wants a reset
	Pinned  bool // it holds state that its session still needs
	Expired bool // past its life time
	Single  bool // serves one client only: replication
}

// Verdict is what becomes of a server.
type Verdict uint8

const (
	Keep    Verdict = iota // it stays with its session
	Return                 // it goes back as it is
	Reset                  // it goes back after reset_query_list
	Discard                // it is closed, never reused
)

func (v Verdict) String() string {
	return [...]string{"keep", "return", "reset", "discard"}[v]
}

// Judge is the release rule (I2): a server goes back only when it owes
// nothing and is idle; what cannot be known, or is too old, is closed.
func (m Mode) Judge(at Moment) Verdict {
	if !at.Ended {
		return m.judgeStaying(at)
	}
	switch {
	case at.Owes != Nothing, at.Expired, at.Single:
		return Discard
	case at.Used, at.Pinned, at.Status != wire.Idle:
		return Reset // which ends an open transaction too
	default:
		return Return
	}
}

// judgeStaying: the client is there, and waits or thinks.
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

// Of is the Mode of a user's clients in a database. Names count as they are,
// in their case.
func (m Modes) Of(database, user string) Mode {
	for _, e := range m.Entries {
		if (e.Database == "" || e.Database == database) && (e.User == "" || e.User == user) {
			return e.Mode
		}
	}
	return m.Default
}
