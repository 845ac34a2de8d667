package worker

import "pgherd/proxy/pool"

// proven are the statements that servers of each pool have taken, the most
// recently used. What is true of one server is true of all until the catalog
// changes; after that a statement may fail a little later than it would: when
// it is bound.
type proven map[pool.Key]*pool.Prepared

// Limits: pools, beyond which all are forgotten, and statements of each.
const (
	provenPools      = 1000
	provenStatements = 1000
)

func (t *task) Proven(key pool.Key, statement string) bool {
	known := t.w.proven[key]
	return known != nil && known.Find(statement) != nil
}

func (t *task) Prove(key pool.Key, statement string) {
	known := t.w.proven[key]
	if known == nil {
		if len(t.w.proven) >= provenPools {
			clear(t.w.proven)
		}
		known = new(pool.Prepared)
		t.w.proven[key] = known
	}
	if known.Find(statement) == nil {
		known.Add(statement, provenStatements)
	}
}
