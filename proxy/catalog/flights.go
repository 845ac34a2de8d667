package catalog

import (
	"slices"
	"sync"

	"pgherd/proxy/query"
)

// flight is a definition from the moment when it may take effect, unseen, until its
// server has said whether it did.
type flight struct {
	n       uint64
	objects []string // whose behaviour it changes; without any, anything's
	open    bool
}

// flights are the latest ones.
type flights struct {
	mu   sync.Mutex
	list []flight
	last uint64 // begun so far
	// union is everything that flights which began after one number may affect, by a
	// Snapshot. Most statements are not affected.
	union union
}

type union struct {
	by       *Snapshot
	after    uint64
	touched  map[string]bool
	anything bool
}

func (u *union) add(objects []string) {
	if u.anything = u.anything || u.by.blind() || len(objects) == 0; !u.anything {
		u.by.touchAll(u.touched, objects)
	}
}

// renew recomputes the union for another answer.
func (f *flights) renew(s *Snapshot, asOf uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.union = union{by: s, after: asOf, touched: map[string]bool{}}
	for _, one := range f.list {
		if one.n > asOf {
			f.union.add(one.objects)
		}
	}
}

// flightsLimit bounds the flights that are told apart. Of older ones only their number
// is known.
const flightsLimit = 1000

func (f *flights) begin(objects []string) (n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	if len(f.list) >= flightsLimit {
		f.list = slices.Delete(f.list, 0, 1)
	}
	f.list = append(f.list, flight{n: f.last, objects: objects, open: true})
	f.union.add(objects)
	return f.last
}

func (f *flights) end(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		if f.list[i].n == n {
			f.list[i].open = false
		}
	}
}

// asOf is a number such that whoever asks now is told of all flights up to it.
func (f *flights) asOf() (asOf, begun uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.list {
		if one.open {
			return one.n - 1, f.last
		}
	}
	return f.last, f.last
}

// concerning counts the flights after one number and up to another that may change what
// a script does, except the caller's own.
func (f *flights) concerning(s *Snapshot, script *query.Script, after, upTo uint64, own []uint64) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := &f.union; u.by == s && after >= u.after && !u.anything && !s.meets(script, u.touched) {
		return 0
	}
	if upTo > after && (len(f.list) == 0 || f.list[0].n > after+1) { // some have been forgotten
		return flightsLimit
	}
	for _, one := range f.list {
		if one.n > after && one.n <= upTo && !slices.Contains(own, one.n) && s.Concerns(one.objects, script) {
			n++
		}
	}
	return n
}
