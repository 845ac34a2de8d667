package worker

import (
	"time"

	"pgherd/proxy/metrics"
	"pgherd/proxy/pool"
)

// PoolName is a database and a user on a node, as SHOW POOL_STATS tells them
// apart.
type PoolName struct {
	Node           int
	Database, User string
}

// waits counts, for each pool, how long its clients waited for a server.
type waits map[pool.Key]*metrics.Histogram

// waitsLimit bounds the pools that are told apart; beyond it all are forgotten.
const waitsLimit = 10_000

func nameOf(key pool.Key) PoolName {
	return PoolName{key.Node, key.Target().Database, key.Target().User}
}

// pinned counts that a session has begun to keep a server.
func (w *Worker) pinned(key pool.Key) {
	if len(w.pins) >= waitsLimit {
		clear(w.pins)
	}
	w.pins[nameOf(key)]++
}

func (s waits) add(key pool.Key, waited time.Duration) {
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

// copy is what another thread may read.
func (s waits) copy() map[PoolName]metrics.Histogram {
	out := make(map[PoolName]metrics.Histogram, len(s))
	for key, h := range s {
		all := out[nameOf(key)]
		all.Merge(h)
		out[nameOf(key)] = all
	}
	return out
}
