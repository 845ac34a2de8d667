package session

import (
	"pgherd/proxy/catalog"
	"pgherd/proxy/effect"
	"pgherd/proxy/query"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// request is one message of the client's, and what was found out about it. handle makes it
// and drops it whole.
type request struct {
	handling bool           // one is being handled
	message  wire.Message   // as it is to be sent
	came     uint64         // how many bytes the client had sent before it
	script   *query.Script  // of a Parse or Query; nil if that is too long to look into
	basis    basis          // what its effect is judged by
	upcoming *effect.Effect // its effect, until it is sent
	placed   route.Request  // what the rules of routing look at
}

// basis is the knowledge by which the effect of a request is judged, and how new that is.
// While the request waits for a server, or runs, other sessions may change what its
// functions and tables do.
type basis struct {
	script *query.Script // nil if the request has none that could be judged again
	known  *catalog.Snapshot
	asOf   uint64 // known includes the definitions up to this number
	tick   uint64 // of the catalog entry, when the request was judged
}
