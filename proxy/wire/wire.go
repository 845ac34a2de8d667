// Package wire knows PostgreSQL's protocol version 3 as bytes: it finds the
// messages in a stream, views their fields in place and builds new ones. It
// does no I/O, and neither finding nor viewing allocates or copies a row.
//
// Kind is the one table of what each message means. View functions read the
// body of one kind of message; Append functions build one, header included.
// The specification is chapter "Frontend/Backend Protocol" of PostgreSQL's
// manual, section "Message Formats".
package wire

// HeaderLen is the length of a message's header: one byte of type, four of length.
const HeaderLen = 5

// WholeLimit is the longest body, in bytes, that a Cutter delivers in one
// piece. Longer messages, of whatever kind, pass in pieces and are not looked
// into: memory for one direction of a session stays bounded by it.
const WholeLimit = 64 << 10

// FirstLimit is how many bytes of the body of a longer message, of a kind that
// sessions look into, are there in its first piece at least.
const FirstLimit = 512

// Transaction states, as ReadyForQuery tells them.
const (
	Idle          byte = 'I'
	InTransaction byte = 'T'
	Failed        byte = 'E'
)
