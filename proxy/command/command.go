// Package command finds out which of a client's requests are commands to pgherd itself, and keeps
// those that the client has prepared and bound. It runs none of them.
package command

import (
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// Finder knows the commands to pgherd, such as SHOW POOL_NODES. Find must be quick for any other
// text.
type Finder interface {
	Find(sql []byte) (Command, bool)
}

// Command is one command. Run may block, and runs in Offload. Its error may be a *wire.Fault.
type Command interface {
	Columns() []string // none if the command returns no rows
	Run(by *Asker) ([][]string, error)
	Tag(rows int) string
	// Waits says that it runs only once all earlier requests are answered.
	Waits() bool
}

// Asker is the session that a Command runs for.
type Asker struct {
	Target pool.Target // the role and the database
	Host   string
	Secret any // what a server is opened with for this client; opaque here, and never shown (I9)
	PID    uint32
	// Values are pgherd's parameters that the session has set for itself. A command that changes
	// them puts another map in their place.
	Values  map[string]string
	Warning *wire.Fault // which the command adds to its answer; nil if there is none
}
