package pool

import "pgherd/proxy/wire"

// Mode says when a server is given back while its client stays. Later modes
// are further rows of the table.
type Mode uint8

// Session keeps a server until the client leaves.
const Session Mode = iota

// Moment is the state in which somebody asks whether to give a server back.
type Moment struct {
	Ended     bool // the client is gone
	Owes      bool // the server owes a reply, to anybody
	Status    byte // transaction status last told, wire.Idle …
	Used      bool // a request was sent since the last reset
	Uncertain bool // what it owes cannot be known
	Expired   bool // past its life time
	Single    bool // serves one client only: replication
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
	switch {
	case !at.Ended:
		return Keep
	case at.Owes, at.Uncertain, at.Expired, at.Single:
		return Discard
	case at.Used:
		return Reset // which ends an open transaction too
	case at.Status != wire.Idle:
		return Discard // unused, yet not idle: nobody knows why
	default:
		return Return
	}
}
