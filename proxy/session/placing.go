package session

import (
	"time"

	"pgherd/proxy/pool"
)

// placing is what a session remembers in order to place its requests.
type placing struct {
	parked     *pool.Server // the session's own server of the primary, in session mode, while it is set aside; else nil
	stayParked time.Time    // until then reads use the parked server, because no standby had one free
	blocks     bool         // a transaction block of the session has written
	ever       bool         // a statement of the session has written
	chance     float64      // the random number by which the session's node is chosen
	ratio      float64      // the random number by which a preference counts
	reads      int          // the node that was chosen last for a read; -1 if none was
	fresh      fresh
	roams      bool // what waits for the primary may as well go to a standby
	unheard    bool // a read went to the primary because the catalog did not have its relation yet
}

// fresh is what a session's reads have to see.
type fresh struct {
	wrote   time.Time // when the session's last transaction that wrote was over; zero if none has
	covered time.Time // a standby that has replayed lsn shows all writes up to this time
	lsn     uint64    // a WAL position of the primary
	needed  uint64    // the position that the standby chosen last was known to have replayed
	since   time.Time // the latest write of any session that this choice took into account
}
