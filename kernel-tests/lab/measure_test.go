package lab

import (
	"flag"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var measures = flag.Int("sentry.measure", 0, "measure this often how long after its end a holder still answers")

// samplePause is between two questions of the sampler's.
const samplePause = time.Millisecond

// TestSentryMeasured prints medians; it checks nothing. A client sends an echo request each millisecond.
func TestSentryMeasured(t *testing.T) {
	if *measures == 0 {
		t.Skip("it only measures: -sentry.measure=10")
	}
	for name, signal := range map[string]os.Signal{"SIGSTOP": syscall.SIGSTOP, "SIGKILL": syscall.SIGKILL} {
		var all []time.Duration
		for range *measures {
			all = append(all, lastAnswer(t, signal))
		}
		slices.Sort(all)
		t.Logf("%s, a lease of 400 ms: last answer after %v (median), %v to %v", name, all[len(all)/2], all[0], all[len(all)-1])
	}
}

// lastAnswer is how long after the signal the last answer came.
func lastAnswer(t *testing.T, signal os.Signal) time.Duration {
	l := newLAN(t)
	a, client := l.host(1), l.host(3)
	a.add(four)
	p := a.holds(four, 400*time.Millisecond)
	client.reaches(four, a)
	var last time.Duration
	client.inside(func() error {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMP)
		if err != nil {
			return err
		}
		defer unix.Close(socket)
		at := boottime() + 200*time.Millisecond
		for sent := false; boottime() < at+time.Second; time.Sleep(samplePause) {
			if !sent && boottime() >= at {
				at, sent = boottime(), true
				if err := p.Process.Signal(signal); err != nil {
					return err
				}
			}
			if asked(socket, four) && sent {
				last = boottime() - at
			}
		}
		return nil
	})
	return last
}

// asked sends an echo request, and says whether an answer has come.
func asked(socket int, ip netip.Addr) (answered bool) {
	_ = unix.Sendto(socket, echo(boottime()), 0, &unix.SockaddrInet4{Addr: ip.As4()})
	return len(echoes(socket, ip)) > 0
}
