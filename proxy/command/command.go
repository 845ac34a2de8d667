// Package command reads which of a client's requests are for pgherd itself, and keeps
// those that it has prepared and bound. It runs none of them.
package command

import (
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// Finder knows what pgherd itself is asked in SQL: SHOW POOL_NODES and
// its like. Find must be quick for everything else.
type Finder interface {
	Find(sql []byte) (Command, bool)
}

// Command is one such question, or an order. Run may block; it runs in Offload.
// Its error may be a *wire.Fault.
type Command interface {
	Columns() []string // none: it returns no rows
	Run(by *Asker) ([][]string, error)
	Tag(rows int) string
	// Waits says that it runs only once all is answered that was asked before.
	Waits() bool
}

// Asker is the session that a Command runs for.
type Asker struct {
	Target pool.Target // whom it has logged in, and to what
	Host   string
	Secret any // what a server is opened with for this client; opaque, and never shown (I9)
	PID    uint32
	// Values are what the session has set for itself, by parameter. A command
	// that changes them puts another map in their place.
	Values  map[string]string
	Warning *wire.Fault // that the command adds to its answer; nil: none
}
