package effect

import "pgherd/proxy/catalog"

// What may be in a text of which only the beginning is here, in a database where
// nothing outlasts DISCARD ALL, and in any other.
var (
	tooLong        = Effect{Set: Ask | Drawn | Peeks | Keeps, Keep: "a statement too long to look into"}
	tooLongToReuse = Effect{Set: tooLong.Set | Spoils, Keep: tooLong.Keep}
)

// TooLong is the effect of a text that is too long to look into. It is shared: nobody
// may change it.
func TooLong(by Judge) *Effect {
	if by.Unseen() == catalog.Spoils {
		return &tooLongToReuse
	}
	return &tooLong
}

// Call judges the call of a function by its number, as FunctionCall has it; 0: it is not
// known. All but those for large objects, which drivers call so, may be anything.
func Call(function uint32) *Effect {
	e := &Effect{Set: Ask | Drawn | Peeks}
	if !largeObject[function] {
		e.KeepFor("function call")
		e.Add(Spoils)
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
