package kernels

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What is done to a machine, and how often.
const (
	pause     = 2 * time.Second
	pauses    = 5
	ticksEach = 25 // before a pause, so that the machine runs evenly
)

// tick is a line of a program inside, which renews a lease each time.
type tick struct {
	arrived             time.Time // here
	boot, monotonic     time.Duration
	clock               time.Duration // of the day
	left                time.Duration // of the lease, before it is renewed
	lease, renewedAfter time.Duration
}

// TestPause measures what a lease is worth in a machine that its hypervisor stops for a while: the
// clocks inside stand still.
func TestPause(t *testing.T) {
	all := asked(t)
	if len(all) == 0 {
		t.Skip("it boots kernels: make test-kernel, or -kernels=6.1,6.12")
	}
	programs := build(t)
	for _, k := range all {
		if k.pattern == running {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			root := k.unpacked(t)
			plan := []suite{{"kernel-tests/kernels/inside", []string{fmt.Sprint("-ticks=", (pauses+1)*ticksEach)}}}
			m := boot(t, root, programs.initramfs(t, root, plan))
			lines := bufio.NewScanner(m.output)
			for range pauses {
				m.pauses(t, lines)
			}
		})
	}
}

// pauses stops the machine between two ticks, and says what either side of it has seen of that.
func (m *machine) pauses(t *testing.T, lines *bufio.Scanner) {
	t.Helper()
	var before tick
	for range ticksEach - 1 {
		before = m.tick(t, lines)
	}
	if err := m.order("stop"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(pause) // what is measured, and no wait for anything
	if err := m.order("cont"); err != nil {
		t.Fatal(err)
	}
	outside := time.Duration(0)
	var after tick
	for outside < pause/2 { // ticks that were on their way
		after = m.tick(t, lines)
		if outside = after.arrived.Sub(before.arrived); outside < pause/2 {
			before = after
		}
	}
	boot, monotonic, clock := after.boot-before.boot, after.monotonic-before.monotonic, after.clock-before.clock
	t.Logf("%v passed outside, and inside %v on CLOCK_BOOTTIME, %v on CLOCK_MONOTONIC, %v on the clock of the day; a lease of %v that is renewed each %v had %v left",
		short(outside), short(boot), short(monotonic), short(clock), after.lease, after.renewedAfter, short(after.left))
	if boot >= pause {
		t.Error("CLOCK_BOOTTIME has gone on, and the manual says that it stands still")
	}
}

func short(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

func (m *machine) tick(t *testing.T, lines *bufio.Scanner) (is tick) {
	t.Helper()
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "tick ") {
			continue
		}
		is.arrived = time.Now()
		_, err := fmt.Sscanf(lines.Text(), "tick %d %d %d %d %d %d", &is.boot, &is.monotonic, &is.clock, &is.left, &is.lease, &is.renewedAfter)
		if err != nil {
			t.Fatalf("read %q: %v", lines.Text(), err)
		}
		return is
	}
	t.Fatalf("the machine is gone: %v; its kernel's last words: %s", lines.Err(), m.last())
	return is
}
