package login

import (
	"fmt"
	"time"

	"pgherd/proxy/session"
)

// Left notes that a client that was adopted has ended, and why.
func (g *Gate) Left(v session.View, why error) {
	g.clients.Add(-1)
	if !g.settings.Load().LogDisconnections {
		return
	}
	text, reason := "client disconnected", fmt.Sprint(why)
	if session.Left(why) {
		text, reason = "client closed the connection", ""
	}
	g.log.Info(text, "host", v.Host, "port", v.Port, "user", v.Target.User, "database", v.Target.Database,
		"session_time", sessionTime(time.Since(v.LoggedIn)), "statements", v.Statements, "reason", reason)
}

// sessionTime formats hours, minutes and seconds as PostgreSQL's log does.
func sessionTime(d time.Duration) string {
	d = d.Round(time.Millisecond)
	return fmt.Sprintf("%d:%02d:%06.3f", int(d.Hours()), int(d.Minutes())%60, (d % time.Minute).Seconds())
}
