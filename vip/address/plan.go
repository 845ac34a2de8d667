package address

import "time"

// Limits of a Keeper's times.
const (
	lookEvery     = time.Second            // at what is there, whether or not anybody tells of a change
	announceEvery = 30 * time.Second       // once the first announcements are over: a neighbour may have missed them
	removalDelay  = 150 * time.Millisecond // the kernel removed an address with a second to live after 1.00 to 1.15
)

// announceAt is when neighbours are told, counted from when the address came: often at first, since frames get lost and a
// switch may have to learn, too.
var announceAt = []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second}

// life is for how long the kernel is to have an address that may be held for this time; 0: it must not be there. The kernel
// counts whole seconds. Where something else mutes the address in time (enforced), the last second may be longer than that.
func life(remaining time.Duration, enforced bool) time.Duration {
	whole := max((remaining - removalDelay).Truncate(time.Second), 0)
	if enforced && remaining > 0 {
		return max(whole, time.Second)
	}
	return whole
}

// course is how far the announcements have got since an address came.
type course struct {
	since time.Duration
	sent  int
}

// next is when the next announcement is due.
func (c course) next() time.Duration {
	if c.sent < len(announceAt) {
		return c.since + announceAt[c.sent]
	}
	last := len(announceAt) - 1
	return c.since + announceAt[last] + time.Duration(c.sent-last)*announceEvery
}

// passed is the course once one announcement is sent for all that were due: after a pause they are not made up for.
func (c course) passed(now time.Duration) course {
	for c.next() <= now {
		c.sent++
	}
	return c
}
