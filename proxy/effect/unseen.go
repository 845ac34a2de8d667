package effect

import "pgherd/proxy/catalog"

// The effects of a text that is too long to look into: the first in a database where nothing
// outlasts DISCARD ALL, the second in any other.
var (
	tooLong        = Effect{Set: Ask | Drawn | Peeks | Keeps, Keep: "a statement too long to look into"}
	tooLongToReuse = Effect{Set: tooLong.Set | Spoils, Keep: tooLong.Keep}
)

// TooLong is the effect of a text that is too long to look into. It is shared, and nobody may
// change it.
func TooLong(by Judge) *Effect {
	if by.Unseen() == catalog.Spoils {
		return &tooLongToReuse
	}
	return &tooLong
}

// Call is the effect of a FunctionCall of the function with this number (its OID); 0 if that is not
// known. Drivers call the functions for large objects that way; any other may do anything.
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
// lo_truncate64. The descriptors that they open end with the transaction.
var largeObject = map[uint32]bool{
	952: true, 953: true, 954: true, 955: true, 956: true, 957: true, 958: true, 964: true, 715: true, 1004: true,
	3170: true, 3171: true, 3172: true,
}
