package session

import (
	"pgherd/proxy/catalog"
	"pgherd/proxy/wire"
)

// What may be in a text of which only the beginning is here, in a database where
// nothing outlasts DISCARD ALL, and in any other.
var (
	tooLong        = Effect{Ask: true, Drawn: true, Peeks: true, Keep: "a statement too long to look into"}
	tooLongToReuse = Effect{Ask: true, Drawn: true, Peeks: true, Keep: tooLong.Keep, Spoils: true}
)

func (s *Session) tooLong() *Effect {
	if s.judge().unseen() == catalog.Spoils {
		return &tooLongToReuse
	}
	return &tooLong
}

// functionCall judges the call of a function by its number. All but those for large
// objects, which drivers call so, may be anything.
func functionCall(m *wire.Message) *Effect {
	e := &Effect{Ask: true, Drawn: true, Peeks: true}
	v, err := wire.ViewFunctionCall(m.Body())
	if !m.Last || err != nil || !largeObject[v.Function] {
		e.Keep, e.Spoils = "function call", true
	}
	return e
}

// largeObject are the numbers of PostgreSQL's functions lo_open, lo_close, loread, lowrite,
// lo_lseek, lo_creat, lo_tell, lo_unlink, lo_create, lo_truncate, lo_lseek64, lo_tell64,
// lo_truncate64. What they open ends with the transaction.
var largeObject = map[uint32]bool{
	952: true, 953: true, 954: true, 955: true, 956: true, 957: true, 958: true, 964: true, 715: true, 1004: true,
	3170: true, 3171: true, 3172: true,
}
