// Package wiretest plays PostgreSQL's protocol from traces that can be read:
// a fake server or a fake client for the tests of other packages. A trace has
// one step a line, "C:" before what the client does and "S:" before what the
// server does:
//
//	# A comment. "== name" begins the trace of one connection.
//	== plain login
//	C: StartupMessage 3.0 user=alice database=app
//	S: authenticate scram-sha-256 "secret"
//	S: AuthenticationOk
//	S: BackendKeyData 42 "key1"
//	S: ReadyForQuery I
//	C: Query "select 1"
//	S: RowDescription one
//	S: DataRow "1"
//	S: CommandComplete "SELECT 1"
//	S: ReadyForQuery I
//	C: Terminate
//	C: close
//
// Played as the client, the C steps are done and the S steps are expected;
// played as the server, the other way round. So one trace can be both.
//
// Messages have their names in the specification, then their fields: words, or
// texts in double quotes with Go's escapes; NULL is a value that is not there.
// In what is expected, * is any one field and ... any rest. Fields are:
//
//	Bind "portal" "statement" [in:1,0] "value" NULL [out:1]    format codes may be left out
//	Close S "name"          Describe P "name"          Execute "portal" 0
//	Parse "name" "sql" 23 25                           types of parameters
//	RowDescription name id:23                          of type text unless a type is given
//	ErrorResponse ERROR 42P01 "message" "detail" "hint"
//	CopyInResponse text 0 0      StartupMessage 3.2 user=a options="-c x=y"
//
// What is not a message:
//
//	C: TLS                  a handshake; TLS alpn=postgresql asks for that protocol
//	S: authenticate M ...   the exchange before AuthenticationOk: password "p", md5 user "p",
//	                        scram-sha-256 "p"; with "refuse" at the end the password is wrong
//	S: answer S             the one byte after SSLRequest or GSSENCRequest: S, G or N
//	S: bytes "x" 0x00ff     exactly these bytes
//	S: cut 7 MESSAGE        only the first 7 bytes of it
//	S: length 99 MESSAGE    the message, its length replaced
//	S: repeat 1000 MESSAGE  that many of it
//	S: skip NAME ...        pass over any such messages until the end of the trace
//	S: close                closes; expected: the end of the stream
//	S: reset                closes with a RST; expected: that it is gone, however
package wiretest

import "time"

// Side is who does a step.
type Side byte

// The sides.
const (
	Client Side = 'C'
	Server Side = 'S'
)

// Limits of a play.
const (
	Patience      = 10 * time.Second // for a whole trace
	longestBody   = 16 << 20         // bytes of a message that is read
	mostRepeats   = 1_000_000
	longestTrace  = 1 << 20 // bytes of a file
	scramRounds   = 4096
	firstBodyMost = 10_000
)

// Script is the trace of one connection.
type Script struct {
	Name  string
	steps []step
	fatal int // bytes after which the player dies; negative is never
}

// DieAfter is the same trace, but the player resets the connection as soon as
// it has sent n bytes; Play then returns ErrDied.
func (s Script) DieAfter(n int) Script {
	s.fatal = n
	return s
}
