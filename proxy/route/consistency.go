package route

import "pgherd/proxy/nodes"

// Consistency says which writes a read must see (read_consistency).
type Consistency uint8

const (
	Eventual Consistency = iota // those that its node happens to have replayed
	Own                         // those of its session: read_consistency = session
	Global                      // those of all sessions of this pgherd
)

func (c Consistency) String() string { return [...]string{"eventual", "session", "global"}[c] }

// Fresh keeps the primary and the standbys that have replayed up to a position, in
// another order.
func Fresh(candidates []Candidate, lsn uint64) []Candidate {
	return only(candidates, func(c *Candidate) bool { return c.Role == nodes.Primary || c.Replayed >= lsn })
}

// Named keeps one node, if it is there.
func Named(candidates []Candidate, index int) []Candidate {
	return only(candidates, func(c *Candidate) bool { return c.Index == index })
}
