package worker

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// templatesLimit bounds the start-up answers remembered; past it they are all
// forgotten and learnt anew.
const templatesLimit = 10_000

// templates remembers what a server of each pool said at its log-in. Log-ins
// read it; the lock is not on the path of a query.
type templates struct {
	lock sync.Mutex
	said map[pool.Key]said
}

type said struct {
	params   []wire.Param
	timeouts pool.Timeouts
}

func (t *templates) find(key pool.Key) []wire.Param {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.said[key].params
}

func (t *templates) timeouts(key pool.Key) pool.Timeouts {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.said[key].timeouts
}

// learn returns the same parameters, shared by servers that have said the same.
func (t *templates) learn(key pool.Key, params []wire.Param, timeouts pool.Timeouts) []wire.Param {
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.said == nil || len(t.said) >= templatesLimit {
		t.said = map[pool.Key]said{}
	}
	if known := t.said[key].params; slices.Equal(known, params) {
		params = known
	}
	t.said[key] = said{params, timeouts}
	return params
}

func (t *templates) forget() {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.said = nil
}

func (t *templates) keys() (keys []pool.Key) {
	t.lock.Lock()
	defer t.lock.Unlock()
	keys = slices.Collect(maps.Keys(t.said))
	slices.SortFunc(keys, func(a, b pool.Key) int {
		s, t := a.Target(), b.Target()
		return cmp.Or(a.Node-b.Node, strings.Compare(s.Database, t.Database), strings.Compare(s.User, t.User),
			strings.Compare(s.Params, t.Params), strings.Compare(s.Sharing, t.Sharing))
	})
	return keys
}
