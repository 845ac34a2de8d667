package ring

import (
	"slices"
	"time"
)

// Limits of the low-water mark.
const (
	LowWater     = 256 << 10        // bytes the kernel gathers before it wakes us for a stream
	LowWaterWait = time.Millisecond // the longest it may keep fewer bytes back

	leastWait  = 100 * time.Microsecond // the shortest deadline: a receive that found all bytes there says nothing of the speed
	fastBytes  = 64 << 10               // a slow stream is fast again when it brings as much
	fastWithin = 2 * time.Millisecond   // within that
)

// mark is the state of a socket's low-water mark (SO_RCVLOWAT). setMark changes it.
//
// The mark is raised by a receive of a Conn in stream mode and stays so from one receive to the next. Each of
// them has a deadline, for what PostgreSQL sends last is seldom a full mark: then the mark is lowered, and the
// kernel completes the receive with what is there. The end of a stream and an error complete it by themselves.
// A descriptor leaves the Conn with its mark lowered: nobody else would ever lower it.
type mark uint8

const (
	markLow    mark = iota // 1: there is no stream, or nothing says that it is slow
	markRaised             // LowWater: the stream is fast
	markSlow               // 1: the stream needed its deadline, until it is fast again
	markBarred             // 1 for good: the socket does not have a mark
)

// pace is what a Conn knows of the speed of its stream; times are the engine's.
type pace struct {
	mark     mark
	started  time.Duration // when the receive in flight was started
	patience time.Duration // how long the next one may take
	timed    bool          // in loop.timed
	since    time.Duration // when a slow stream was last found slow
	brought  int           // bytes it has brought since
}

// setMark sets the mark of the socket to what m means. If the mark of a socket cannot be raised, the stream is
// treated as a slow one. If it cannot be lowered, the Conn is broken.
func (c *Conn) setMark(m mark) {
	was := c.mark
	if was == m || was == markBarred {
		return
	}
	c.mark = m
	if m == markRaised && c.loop.engine.LowWater(c.fd, LowWater) != nil {
		c.mark = markBarred
	}
	if was != markRaised {
		return
	}
	if err := c.loop.engine.LowWater(c.fd, 1); err != nil && c.broken == nil {
		c.broken = err
		c.loop.announce(c)
	}
}

// settleMark lowers the mark of a Conn that no longer streams. It comes before everything else that settles.
func (c *Conn) settleMark() {
	if !c.stream || c.phase != open {
		c.setMark(markLow)
	}
}

// expect raises the mark for the receive of a stream that is about to start, and sets its deadline; it returns
// the room to receive into. While the loop holds too much memory all its streams are slow.
func (c *Conn) expect() (size int) {
	if c.loop.held >= c.loop.set.Held {
		c.setMark(markSlow)
		return c.loop.set.BufferSize
	}
	if c.mark == markLow {
		c.patience = LowWaterWait
		c.setMark(markRaised)
	}
	switch c.mark {
	case markSlow:
		return slowSize
	case markBarred:
		return c.nextSize
	}
	c.started = c.loop.now()
	if !c.timed {
		c.timed = true
		c.loop.timed = append(c.loop.timed, c)
	}
	return c.nextSize
}

func (c *Conn) due() time.Duration { return c.started + c.patience }

// untimed takes a Conn whose receive has come to its end off the list of deadlines.
func (c *Conn) untimed() bool {
	c.timed = c.mark == markRaised && c.recv == recvArmed
	return !c.timed
}

// measure learns from a receive that brought n bytes.
func (c *Conn) measure(n int) {
	switch c.mark {
	case markRaised:
		c.patience = max(leastWait, min(2*(c.loop.now()-c.started), LowWaterWait))
	case markSlow:
		if now := c.loop.now(); now-c.since > fastWithin {
			c.since, c.brought = now, 0
		}
		if c.brought += n; c.brought >= fastBytes {
			c.setMark(markLow) // the next receive raises it
		}
	}
}

// pacing is what a Loop needs for its streams.
type pacing struct {
	timed []*Conn       // those whose receive has a deadline, and some whose receive has ended
	time  time.Duration // the engine's, when it was last asked
	asked bool          // since then nothing has been waited for
}

// now is the engine's clock, read at most once before and once after the engine's turn.
func (l *Loop) now() time.Duration {
	if !l.asked {
		l.time, l.asked = l.engine.Now(), true
	}
	return l.time
}

// shorten is how long the engine may wait, if no deadline is to be missed.
func (l *Loop) shorten(wait time.Duration) time.Duration {
	if wait == 0 {
		return 0
	}
	l.timed = slices.DeleteFunc(l.timed, (*Conn).untimed)
	for _, c := range l.timed {
		if left := max(0, c.due()-l.now()); wait < 0 || left < wait {
			wait = left
		}
	}
	return wait
}

// lowerDue lowers the marks of the receives whose deadline has come; they end in the next turn of the engine,
// if there is anything to receive.
func (l *Loop) lowerDue() {
	l.timed = slices.DeleteFunc(l.timed, (*Conn).untimed)
	for _, c := range l.timed {
		if c.due() <= l.now() {
			c.setMark(markSlow)
			c.since, c.brought = l.now(), 0
		}
	}
}
