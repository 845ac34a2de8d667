package session

import (
	"pgherd/proxy/catalog"
	"pgherd/proxy/effect"
	"pgherd/proxy/query"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// request is one message of the client's, and what was found out about it. It is made
// and dropped whole, by handle.
type request struct {
	handling bool
	message  wire.Message   // as it is to be sent
	came     uint64         // bytes of the client before it
	script   *query.Script  // of a Parse or Query; nil: too long to look into
	basis    basis          // what it is judged by
	upcoming *effect.Effect // of it, until it is sent
	placed   route.Request
}

// basis is what a request is judged by. It may wait for a server, and run for long,
// while other sessions change what its functions and tables do.
type basis struct {
	script *query.Script // nil: it has none that could be judged once more
	known  *catalog.Snapshot
	asOf   uint64 // the definitions that known knows of
	tick   uint64
}
