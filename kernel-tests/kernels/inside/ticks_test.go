package inside

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var ticks = flag.Int("ticks", 0, "renew a lease this often, and print what the clocks say; tests start this")

const (
	leaseTime = 400 * time.Millisecond
	renewals  = 10 // while a lease lasts
)

func TestMain(m *testing.M) {
	flag.Parse()
	if *ticks == 0 {
		os.Exit(m.Run())
	}
	const each = leaseTime / renewals
	until := now(unix.CLOCK_BOOTTIME) + leaseTime
	for range *ticks {
		time.Sleep(each)
		boot := now(unix.CLOCK_BOOTTIME)
		left := until - boot
		until = boot + leaseTime
		fmt.Printf("tick %d %d %d %d %d %d\n", boot, now(unix.CLOCK_MONOTONIC), now(unix.CLOCK_REALTIME), left, leaseTime, each)
	}
}

func now(clock int32) time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(clock, &t) // of clocks that every kernel has
	return time.Duration(t.Nano())
}
