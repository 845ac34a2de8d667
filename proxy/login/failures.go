package login

import (
	"net/netip"
	"sync"
	"time"
)

// maxOrigins limits the addresses, and users at addresses, that are remembered.
const maxOrigins = 50_000

// failures counts failed log-ins, so that guesses are refused before they cost
// anything. A count leaks: after a window without failures it is zero again. A user who
// has logged in from an address before is not locked out by the failures of others
// there, because a whole site may share one address; only the user's own failures
// count.
type failures struct {
	now func() time.Time

	mu     sync.Mutex
	counts map[origin]*failureCount
}

// origin is an address, or a user at an address.
type origin struct {
	addr netip.Addr
	user string // "": any user
}

type failureCount struct {
	level float64
	at    time.Time
	good  bool // has logged in; for an address: somebody there has
}

// FailureRule is auth_failure_limit within auth_failure_window.
type FailureRule struct {
	Limit  int // 0: no limit
	Window time.Duration
}

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, counts: map[origin]*failureCount{}}
}

// siteOf is what counts as one address: for IPv6 the network of 64 bits that one
// customer has.
func siteOf(addr netip.Addr) netip.Addr {
	if addr.Is6() {
		return netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return addr
}

// lockedOut says that log-ins from the address are refused, whichever user they are
// for.
func (f *failures) lockedOut(addr netip.Addr, r FailureRule) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.counts[origin{addr: siteOf(addr)}]
	return c != nil && !c.good && f.over(c, r)
}

// barredUser says that log-ins of one user are.
func (f *failures) barredUser(addr netip.Addr, user string, r FailureRule) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	own := f.counts[origin{siteOf(addr), user}]
	if own != nil && (own.good || f.over(own, r)) {
		return f.over(own, r)
	}
	all := f.counts[origin{addr: siteOf(addr)}]
	return all != nil && f.over(all, r)
}

func (f *failures) over(c *failureCount, r FailureRule) bool {
	f.leak(c, r)
	return r.Limit > 0 && c.level > float64(r.Limit)-1
}

func (f *failures) leak(c *failureCount, r FailureRule) {
	now := f.now()
	if r.Window > 0 {
		c.level = max(0, c.level-float64(r.Limit)*float64(now.Sub(c.at))/float64(r.Window))
	}
	c.at = now
}

// failed counts a failure, and says whether the limit is reached by it.
func (f *failures) failed(addr netip.Addr, user string, r FailureRule) (tooMany bool) {
	if r.Limit == 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range []origin{{siteOf(addr), user}, {addr: siteOf(addr)}} {
		c := f.count(o)
		before := f.over(c, r)
		c.level++
		tooMany = tooMany || !before && f.over(c, r)
	}
	return tooMany
}

// succeeded notes that a user has logged in.
func (f *failures) succeeded(addr netip.Addr, user string, r FailureRule) {
	if r.Limit == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count(origin{siteOf(addr), user}).good = true
	f.count(origin{addr: siteOf(addr)}).good = true
}

func (f *failures) count(o origin) *failureCount {
	c := f.counts[o]
	if c == nil {
		for other := range f.counts { // any of them: maps iterate in random order
			if len(f.counts) < maxOrigins {
				break
			}
			delete(f.counts, other)
		}
		c = &failureCount{at: f.now()}
		f.counts[o] = c
	}
	return c
}
