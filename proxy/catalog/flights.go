package catalog

import (
	"slices"
	"sync"

	"pgherd/proxy/query"
)

// flight is a definition, from the moment that it may take effect, unseen, until its
// server has told whether it did.
type flight struct {
	n       uint64
	objects []string // whose doings it changes; none: anything's
	open    bool
}

// flights are the latest ones.
type flights struct {
	mu   sync.Mutex
	list []flight
	last uint64 // begun so far
}

// flightsLimit bounds those that are told apart; of older ones nobody knows more than
// that there were some.
const flightsLimit = 100

func (f *flights) begin(objects []string) (n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	if len(f.list) >= flightsLimit {
		f.list = slices.Delete(f.list, 0, 1)
	}
	f.list = append(f.list, flight{n: f.last, objects: objects, open: true})
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

// concerning counts the flights after one number and up to another that may change
// what a script does, without those of one's own.
func (f *flights) concerning(s *Snapshot, script *query.Script, after, upTo uint64, own []uint64) (n int) {
	f.mu.Lock()
	list := slices.Clone(f.list)
	f.mu.Unlock()
	if upTo > after && (len(list) == 0 || list[0].n > after+1) { // some are forgotten
		return flightsLimit
	}
	for _, one := range list {
		if one.n > after && one.n <= upTo && !slices.Contains(own, one.n) && s.Concerns(one.objects, script) {
			n++
		}
	}
	return n
}
