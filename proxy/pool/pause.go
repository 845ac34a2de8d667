package pool

import (
	"time"

	"pgherd/proxy/wire"
)

// Pause is why nobody gets a server of a database.
type Pause struct {
	Since time.Time
	By    string // the user who has ordered it; "": a statement that has to be alone, for a moment
	All   bool   // of every database
}

// Fault is what a client is told that has waited for the end of it for too long, or that asks
// what it is waiting for.
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
