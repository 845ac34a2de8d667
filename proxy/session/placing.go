package session

import (
	"time"

	"pgherd/proxy/pool"
)

// placing is what a session remembers in order to place its requests.
type placing struct {
	parked     *pool.Server // in session mode the primary's, while it is not at work; nil: there is none, or it is
	stayParked time.Time    // kept to the parked one, until then: no standby had a server
	blocks     bool         // an earlier transaction block has
	ever       bool         // any statement has
	chance     float64      // by which the session's node is chosen
	ratio      float64      // by which a preference counts
	reads      int          // the node that was chosen last for a read; -1: none was
	fresh      fresh
	unheard    bool // a read went to the primary because its relation is not known yet
}

// fresh is what a session's reads have to see.
type fresh struct {
	wrote   time.Time // when its last transaction that wrote was over; zero: none has
	covered time.Time // writes up to here are seen by who has replayed
	lsn     uint64    // up to here
	needed  uint64    // what a standby that was chosen has replayed, as far as was known
	since   time.Time // of all sessions' writes, the latest that was looked at for it
}
