package registry

import (
	"time"

	"pgherd/proxy/metrics"
	"pgherd/proxy/pool"
)

// PoolName is a database and a user on a node, which SHOW POOL_STATS tells apart.
type PoolName struct {
	Node           int
	Database, User string
}

// Waits count, for each pool, how long its clients have waited for a server.
type Waits map[pool.Key]*metrics.Histogram

// waitsLimit bounds the pools that are told apart; beyond it all are forgotten.
const waitsLimit = 10_000

func nameOf(key pool.Key) PoolName {
	return PoolName{key.Node, key.Target().Database, key.Target().User}
}

// Pins count, for each pool, how often a session has begun to keep a server.
type Pins map[PoolName]uint64

// Add counts that a session has begun to keep a server of the pool.
func (p Pins) Add(key pool.Key) {
	if len(p) >= waitsLimit {
		clear(p)
	}
	p[nameOf(key)]++
}

// Add counts how long a client of the pool has waited.
func (s Waits) Add(key pool.Key, waited time.Duration) {
	h := s[key]
	if h == nil {
		if len(s) >= waitsLimit {
			clear(s)
		}
		h = &metrics.Histogram{}
		s[key] = h
	}
	h.Add(waited)
}

// Copy returns a copy that another thread may read.
func (s Waits) Copy() map[PoolName]metrics.Histogram {
	out := make(map[PoolName]metrics.Histogram, len(s))
	for key, h := range s {
		all := out[nameOf(key)]
		all.Merge(h)
		out[nameOf(key)] = all
	}
	return out
}
