package pool

import (
	"maps"
	"sync/atomic"
	"time"
)

// Renewals remembers when the servers of each database were last to be replaced by new
// ones (RECONNECT). One thread changes it, any may ask.
type Renewals struct {
	last atomic.Pointer[map[string]time.Time] // never changed once stored
}

// renewalsLimit bounds the databases that are told apart; beyond it all databases are
// renewed at once.
const renewalsLimit = 1000

// Renew makes every server outdated whose log-in did not begin after now. In this way
// it also reaches those that are being opened or moved.
func (r *Renewals) Renew(database string, now time.Time) {
	last := map[string]time.Time{}
	if old := r.last.Load(); old != nil && len(*old) < renewalsLimit {
		maps.Copy(last, *old)
	} else if old != nil {
		database = AllDatabases
	}
	if database == AllDatabases {
		clear(last)
	}
	last[database] = now
	r.last.Store(&last)
}

// Outdated says that the server is to be closed when it is given back.
func (r *Renewals) Outdated(s *Server) bool {
	last := r.last.Load()
	return last != nil && (before(s.Opened, (*last)[s.Key.Target().Database]) || before(s.Opened, (*last)[AllDatabases]))
}

// before says that a log-in at that time did not begin after a renewal.
func before(opened, renewal time.Time) bool { return !renewal.IsZero() && !opened.After(renewal) }
