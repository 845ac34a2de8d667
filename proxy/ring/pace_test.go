package ring

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// marking is an engine that only records the marks, on a clock that the test sets.
type marking struct {
	inert
	now    time.Duration
	asked  int // how often the time was asked for
	marks  []int
	refuse int // LowWater fails for this number of bytes
}

func (e *marking) Now() time.Duration { e.asked++; return e.now }

func (e *marking) LowWater(_, bytes int) error {
	if bytes == e.refuse {
		return syscall.EPERM
	}
	e.marks = append(e.marks, bytes)
	return nil
}

// streaming is a Conn whose receive has been started with the mark raised, if it can be.
func streaming(t *testing.T, e *marking) (*Loop, *Conn) {
	t.Helper()
	l := NewWith(e, Settings{})
	c := l.Open(3, nil)
	c.Stream(true)
	e.inert.complete(t, l)
	return l, c
}

// bring completes the receive in flight with n bytes after took, and starts the next one.
func (e *marking) bring(t *testing.T, l *Loop, c *Conn, took time.Duration, n int) {
	t.Helper()
	e.next = func() {
		e.now += took
		ev := Event{ID: c.id, Op: Received, Shared: NoBuffer, N: n}
		if c.into == nil {
			ev.Shared = 0
		}
		l.Complete(ev)
	}
	e.turn(t, l, Forever)
	c.Take().Release()
	e.turn(t, l, 0)
}

func (e *marking) turn(t *testing.T, l *Loop, wait time.Duration) {
	t.Helper()
	if err := l.Turn(wait); err != nil {
		t.Fatal(err)
	}
}

func TestMarkIsSetOncePerStretch(t *testing.T) {
	e := &marking{}
	l, c := streaming(t, e)
	for range 10 {
		e.bring(t, l, c, 300*time.Microsecond, LowWater)
	}
	if !slices.Equal(e.marks, []int{LowWater}) || c.mark != markRaised || len(l.timed) != 1 {
		t.Errorf("the marks set are %v, the state is %d, with %d deadlines", e.marks, c.mark, len(l.timed))
	}
}

// TestDeadline checks that the loop waits until the first deadline at most, which is twice what the last
// receive took, within limits.
func TestDeadline(t *testing.T) {
	for _, x := range []struct{ took, wait, want time.Duration }{
		{300 * time.Microsecond, Forever, 600 * time.Microsecond},
		{300 * time.Microsecond, time.Second, 600 * time.Microsecond},
		{300 * time.Microsecond, 200 * time.Microsecond, 200 * time.Microsecond},
		{300 * time.Microsecond, 0, 0},
		{0, Forever, leastWait},
		{600 * time.Microsecond, Forever, LowWaterWait},
		{time.Hour, Forever, LowWaterWait},
	} {
		e := &marking{}
		l, c := streaming(t, e)
		e.turn(t, l, Forever)
		if e.wait != LowWaterWait {
			t.Errorf("the first deadline is after %v", e.wait)
		}
		e.bring(t, l, c, x.took, LowWater)
		if e.turn(t, l, x.wait); e.wait != x.want {
			t.Errorf("after a receive that took %v, Turn(%v) waits for %v, want %v", x.took, x.wait, e.wait, x.want)
		}
	}
}

func TestSlowUntilFast(t *testing.T) {
	for what, x := range map[string]struct {
		every time.Duration
		bytes int
		mark  mark
	}{
		"64 KB at once":       {0, fastBytes, markRaised},
		"64 KB in 2 ms":       {time.Millisecond, fastBytes / 2, markRaised},
		"a little less":       {time.Millisecond, fastBytes/2 - 1, markSlow},
		"64 KB in 4 ms":       {2 * time.Millisecond, fastBytes / 2, markSlow},
		"a byte now and then": {time.Millisecond, 1, markSlow},
	} {
		t.Run(what, func(t *testing.T) {
			e := &marking{}
			l, c := streaming(t, e)
			e.now += LowWaterWait
			e.turn(t, l, Forever)
			if !slices.Equal(e.marks, []int{LowWater, 1}) || c.mark != markSlow {
				t.Fatalf("after the deadline the marks set are %v, the state is %d", e.marks, c.mark)
			}
			if e.turn(t, l, Forever); e.wait != Forever {
				t.Errorf("the loop waits for %v for a stream without a deadline", e.wait)
			}
			e.now += time.Second
			e.bring(t, l, c, 0, 1)
			for range 2 {
				e.bring(t, l, c, x.every, x.bytes)
			}
			if c.mark != x.mark {
				t.Errorf("the state is %d, want %d; the marks set are %v", c.mark, x.mark, e.marks)
			}
		})
	}
}

// TestLateLoopLowersNothing checks that a receive that the engine has completed in the meantime does not count
// as late, however late the loop is.
func TestLateLoopLowersNothing(t *testing.T) {
	e := &marking{}
	l, c := streaming(t, e)
	e.now += time.Hour
	e.bring(t, l, c, 0, LowWater)
	if c.mark != markRaised {
		t.Errorf("the state is %d, the marks set are %v", c.mark, e.marks)
	}
}

func TestMarkThatCannotBeRaised(t *testing.T) {
	e := &marking{refuse: LowWater}
	l, c := streaming(t, e)
	for range 3 {
		e.bring(t, l, c, 0, LowWater)
	}
	c.Stream(false)
	e.turn(t, l, 0)
	c.Stream(true)
	e.turn(t, l, Forever)
	if c.mark != markBarred || len(e.marks)+len(l.timed) != 0 || c.Broken() != nil || e.wait != Forever {
		t.Errorf("the state is %d, the marks set are %v, the Conn broke by %v, the loop waits for %v", c.mark, e.marks, c.Broken(), e.wait)
	}
}

// TestMarkThatCannotBeLowered checks that a socket whose mark cannot be lowered breaks, so that no session gets
// a socket that keeps bytes back.
func TestMarkThatCannotBeLowered(t *testing.T) {
	e := &marking{refuse: 1}
	l, c := streaming(t, e)
	told := false
	c.SetOwner(ownerOf(func() { told = true }))
	c.Stream(false)
	e.turn(t, l, 0)
	if c.Broken() == nil || !told {
		t.Errorf("the Conn broke by %v, and its owner was told: %v", c.Broken(), told)
	}
}

type ownerOf func()

func (f ownerOf) Ready(*Conn) { f() }

func TestSocketGivenUpWithItsMarkRaisedPanics(t *testing.T) {
	l, c := streaming(t, &marking{})
	defer func() {
		if recover() == nil {
			t.Error("the call does not panic")
		}
	}()
	l.vacate(c)
}

func TestClockIsLeftAloneWithoutStreams(t *testing.T) {
	e := &marking{}
	l, c := streaming(t, e)
	c.Stream(false)
	e.bring(t, l, c, 0, 1)
	asked := e.asked
	for range 3 {
		e.bring(t, l, c, 0, 1)
		e.turn(t, l, Forever)
	}
	if e.asked != asked {
		t.Errorf("the engine asked for the time %d times", e.asked-asked)
	}
}
