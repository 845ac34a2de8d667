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

// What tests may see of the inside.

// Unused counts the shared buffers that nobody holds.
func (l *Loop) Unused() int { return l.unused() }

// OpenConns counts the Conns whose descriptor is not yet closed or handed over.
func (l *Loop) OpenConns() int { return l.open }

// Window is the number of shared buffers the engine is to have.
func (l *Loop) Window() int { return l.window }

// Parts is the number of parts queued to send.
func (c *Conn) Parts() int { return c.tx.Len() }

// Held is the memory of received Bufs that counts against c.
func (c *Conn) Held() (bytes int) { return c.held }

// Lent is the private memory that waits for bytes of c.
func (c *Conn) Lent() (bytes int) {
	if c.into == nil {
		return 0
	}
	return len(c.into.data)
}

// Slot is the slot c lives in.
func (c *Conn) Slot() uint32 { return c.id.Slot() }

// Deadlines is the number of receives that are to end in time.
func (l *Loop) Deadlines() int {
	l.timed = slices.DeleteFunc(l.timed, (*Conn).untimed)
	return len(l.timed)
}

// clocked is an engine with a clock of the test's.
type clocked struct {
	Engine
	now *time.Duration
}

func (e clocked) Now() time.Duration { return *e.now }

// NewClocked is New with a clock of the test's.
func NewClocked(set Settings, now *time.Duration) (*Loop, error) {
	if set.Engine == "epoll" {
		return start(clocked{&epoll{}, now}, set)
	}
	return start(clocked{&uring{}, now}, set)
}

// noURingVariable is set, to anything, for tests on a machine that forbids io_uring.
const noURingVariable = "PGHERD_TEST_NO_IO_URING"

// NoLoop ends a test that got no loop: it is skipped where the kernel is older than
// io_uring needs or noURingVariable is set, and has failed anywhere else.
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

// mayLackURing says that err is what is to be expected on such a machine.
func mayLackURing(err error, release string, forbidden bool) bool {
	if missing := (*iouring.MissingError)(nil); !errors.As(err, &missing) {
		return false
	}
	return forbidden || number(release) < number(iouring.MinKernel)
}

// number makes a version comparable; what is not one is newer than all.
func number(version string) int {
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n != 2 {
		return 1 << 32
	}
	return major<<16 + minor
}
