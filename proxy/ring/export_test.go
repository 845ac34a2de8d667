package ring

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/ring/iouring"
)

// These methods show tests what is inside a Loop and a Conn.

// Unused counts the shared buffers that no Conn or owner holds.
func (l *Loop) Unused() int { return l.unused() }

// OpenConns counts the Conns whose descriptor is not yet closed or handed over.
func (l *Loop) OpenConns() int { return l.open }

// Window is the number of shared buffers that the engine should have.
func (l *Loop) Window() int { return l.window }

// Parts is the number of parts queued to send.
func (c *Conn) Parts() int { return c.tx.Len() }

// Held is the memory of received Bufs that counts for c.
func (c *Conn) Held() (bytes int) { return c.held }

// Lent is the private memory into which c may receive.
func (c *Conn) Lent() (bytes int) {
	if c.into == nil {
		return 0
	}
	return len(c.into.data)
}

// Slot is the slot of c.
func (c *Conn) Slot() uint32 { return c.id.Slot() }

// Deadlines is the number of receives that have a deadline.
func (l *Loop) Deadlines() int {
	l.timed = slices.DeleteFunc(l.timed, (*Conn).untimed)
	return len(l.timed)
}

// clocked is an engine with a clock that the test sets.
type clocked struct {
	Engine
	now *time.Duration
}

func (e clocked) Now() time.Duration { return *e.now }

// NewClocked is New with a clock that the test sets.
func NewClocked(set Settings, now *time.Duration) (*Loop, error) {
	if set.Engine == "epoll" {
		return start(clocked{&epoll{}, now}, set)
	}
	return start(clocked{&uring{}, now}, set)
}

// noURingVariable is set, to any value, for tests on a machine that forbids io_uring.
const noURingVariable = "PGHERD_TEST_NO_IO_URING"

// NoLoop ends a test for which no loop could be made. The test is skipped if the kernel is older than
// io_uring needs, or if noURingVariable is set; otherwise it fails.
func NoLoop(t testing.TB, err error) {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	if mayLackURing(err, unix.ByteSliceToString(name.Release[:]), os.Getenv(noURingVariable) != "") {
		t.Skip(err)
	}
	t.Fatalf("%v; where io_uring is forbidden, set %s=1", err, noURingVariable)
}

// mayLackURing says whether err is expected on such a machine.
func mayLackURing(err error, release string, forbidden bool) bool {
	if missing := (*iouring.MissingError)(nil); !errors.As(err, &missing) {
		return false
	}
	return forbidden || number(release) < number(iouring.MinKernel)
}

// number makes versions comparable. A text that is no version counts as newer than all.
func number(version string) int {
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n != 2 {
		return 1 << 32
	}
	return major<<16 + minor
}
