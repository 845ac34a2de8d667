package pool

import (
	"time"

	"pgherd/proxy/wire"
)

// Pause is why clients of a database get no server.
type Pause struct {
	Since time.Time
	By    string // the user who gave the command; "": a statement that nobody else may be connected for, briefly
	All   bool   // of every database
}

// Fault is what a client is told that has waited too long for the end of the pause, or asks
// what it waits for.
func (p Pause) Fault(database string) *wire.Fault {
	what, end := `database "`+database+`" is`, "RESUME "+quoteName(database)
	if p.All {
		what, end = "all databases are", "RESUME"
	}
	fault := &wire.Fault{Severity: "FATAL", Code: "57P03", Message: what + " paused since " + p.Since.Format(time.DateTime) + ", by " + p.By,
		Hint: end + ", by a user named in admin_users, ends the pause."}
	if p.By == "" {
		fault.Message = what + " kept free since " + p.Since.Format(time.DateTime) + " for a statement that has to be alone there"
		fault.Hint = "DROP DATABASE and the like are such statements; it ends with them, and within seconds."
	}
	return fault
}
