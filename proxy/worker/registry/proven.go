package registry

import "pgherd/proxy/pool"

// Proven are the statements that servers of each pool have accepted, the most recently
// used. What one server accepts all accept, until the catalog changes. After that a
// statement may fail a little later than it should, when it is bound.
type Proven struct {
	pools map[pool.Key]*pool.Prepared
	bytes int // of the statements added since all were forgotten
}

// Limits on pools and on bytes, beyond which all are forgotten, and on the statements
// of each pool.
const (
	provenPools      = 1000
	provenBytes      = 16 << 20
	provenStatements = 1000
)

func (p *Proven) Has(key pool.Key, statement string) bool {
	known := p.pools[key]
	return known != nil && known.Find(statement) != nil
}

func (p *Proven) Add(key pool.Key, statement string) {
	if p.Has(key, statement) {
		return
	}
	const entry = 300 // bytes, about
	full := p.bytes+entry+len(statement) > provenBytes
	known := p.pools[key]
	if full || known == nil && len(p.pools) >= provenPools || p.pools == nil {
		*p = Proven{pools: map[pool.Key]*pool.Prepared{}}
		known = nil
	}
	if known == nil {
		known = new(pool.Prepared)
		p.pools[key] = known
	}
	known.Add(statement, provenStatements)
	p.bytes += entry + len(statement)
}
