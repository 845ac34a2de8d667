package registry

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// templatesLimit bounds the start-up answers that are remembered. Beyond it all are
// forgotten and learnt anew.
const templatesLimit = 10_000

// Templates remember what a server of each pool said at its log-in. Log-ins read it;
// the lock is never taken on the path of a query.
type Templates struct {
	lock sync.Mutex
	said map[pool.Key]template
}

// template is what a server said, and the state under which it logged in. Once that is
// over the template is not used.
type template struct {
	params   []wire.Param
	on       *pool.Admission
	timeouts pool.Timeouts
}

func (t *Templates) Timeouts(key pool.Key) pool.Timeouts {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.said[key].timeouts
}

func (t *Templates) Find(key pool.Key) (params []wire.Param, on *pool.Admission) {
	t.lock.Lock()
	defer t.lock.Unlock()
	it := t.said[key]
	if it.on.Over() {
		return nil, nil
	}
	return it.params, it.on
}

// Learn notes what a new server has said, and returns it. Servers that have said the
// same share it.
func (t *Templates) Learn(s *pool.Server) []wire.Param {
	t.lock.Lock()
	defer t.lock.Unlock()
	if s.Admission.Over() {
		return s.Params
	}
	if t.said == nil || len(t.said) >= templatesLimit {
		t.said = map[pool.Key]template{}
	}
	known := t.said[s.Key].params
	if !slices.Equal(known, s.Params) {
		known = s.Params
	}
	t.said[s.Key] = template{known, s.Admission, s.Timeouts}
	return known
}

func (t *Templates) Forget() {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.said = nil
}

func (t *Templates) Keys() (keys []pool.Key) {
	t.lock.Lock()
	defer t.lock.Unlock()
	for key, it := range t.said {
		if !it.on.Over() {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b pool.Key) int {
		s, t := a.Target(), b.Target()
		return cmp.Or(a.Node-b.Node, strings.Compare(s.Database, t.Database), strings.Compare(s.User, t.User),
			strings.Compare(s.Params, t.Params), strings.Compare(s.Sharing, t.Sharing))
	})
	return keys
}
