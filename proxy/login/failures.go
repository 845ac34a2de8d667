package login

import (
	"net/netip"
	"sync"
	"time"
)

// maxOrigins is how many addresses, and users at addresses, are remembered.
const maxOrigins = 50_000

// failures counts failed logins, so that guesses are turned away before they
// cost anything. A count leaks: it is empty again after a window without
// failures. Users who have logged in from an address before are not shut out
// by what others do there, as behind one address may be a whole site; only
// their own failures count against them.
type failures struct {
	now func() time.Time

	mu     sync.Mutex
	counts map[origin]*failureCount
}

// origin is an address, or a user at an address.
type origin struct {
	addr netip.Addr
	user string // "": whoever is there
}

type failureCount struct {
	level float64
	at    time.Time
	good  bool // has logged in; of an address: somebody has
}

// FailureRule is auth_failure_limit within auth_failure_window.
type FailureRule struct {
	Limit  int // 0: no limit
	Window time.Duration
}

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, counts: map[origin]*failureCount{}}
}

// siteOf is what counts as one address: of IPv6 the network of 64 bits that
// one customer has.
func siteOf(addr netip.Addr) netip.Addr {
	if addr.Is6() {
		return netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return addr
}

// lockedOut says that nobody of that address gets in, whoever it claims to be.
func (f *failures) lockedOut(addr netip.Addr, r FailureRule) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.counts[origin{addr: siteOf(addr)}]
	return c != nil && !c.good && f.over(c, r)
}

// barredUser says the same of one user.
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

// failed counts a failure; it says whether that was the one too many.
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
		for other := range f.counts { // any: maps begin anywhere
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
