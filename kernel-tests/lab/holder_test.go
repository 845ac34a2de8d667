package lab

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/bpf/sentry"
)

var (
	keeps  = flag.String("keep", "", "have this address on eth0 for two seconds from now, again and again; tests start this")
	holds  = flag.String("sentry.hold", "", "hold this address on eth0, and renew its lease again and again; tests start this")
	folder = flag.String("sentry.folder", "", "where it pins")
	clsact = flag.Bool("sentry.clsact", false, "it uses clsact, though the kernel may have tcx")
	leased = flag.Duration("sentry.lease", time.Second, "how long each of its leases is; 0: none")
)

// renewals is how often a lease is renewed while it lasts.
const renewals = 10

const ready = "ready"

func TestMain(m *testing.M) {
	flag.Parse()
	var end error
	switch {
	case *memberOf != 0:
		end = member(*memberOf)
	case *holds != "":
		end = hold(netip.MustParseAddr(*holds))
	case *keeps != "":
		end = keep(netip.MustParseAddr(*keeps))
	default:
		os.Exit(m.Run())
	}
	if end == nil {
		return
	}
	fmt.Fprintln(os.Stderr, end)
	os.Exit(1)
}

// hold is a process that renews the lease of an address.
func hold(ip netip.Addr) error {
	s, err := sentry.Open(sentry.Settings{Interface: "eth0", Folder: *folder, Clsact: *clsact})
	for said := false; err == nil; said = true {
		if *leased > 0 {
			err = s.SetLease(ip, boottime()+*leased)
		}
		if !said {
			fmt.Println(ready)
		}
		time.Sleep(max(*leased/renewals, time.Millisecond))
	}
	return err
}

// holder is a process on a host. It is not in a mount namespace of its own, which would take the bpffs with it.
type holder struct {
	*exec.Cmd
	lan *lan
}

// holds starts a holder, and waits until it has opened its sentry.
func (h *host) holds(ip netip.Addr, each time.Duration) *holder {
	h.lan.Helper()
	p := exec.Command(os.Args[0], "-sentry.hold="+ip.String(), "-sentry.folder="+h.folder(), "-sentry.lease="+each.String(), fmt.Sprint("-sentry.clsact=", h.lan.clsact))
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	h.lan.must(err)
	h.inside(p.Start)
	holder := &holder{p, h.lan}
	h.lan.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != ready+"\n" {
		h.lan.Fatalf("the holder says %q, %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return holder
}

func (p *holder) signal(s os.Signal) { p.lan.Helper(); p.lan.must(p.Process.Signal(s)) }

// kill ends it, and waits until it is gone.
func (p *holder) kill() {
	p.lan.Helper()
	p.lan.must(p.Process.Kill())
	_ = p.Wait()
}

// folder is where the host's programs are pinned; what is there is gone after the test.
func (h *host) folder() string {
	h.lan.Helper()
	path := "/run/pgherd-test/" + h.name
	h.lan.Cleanup(func() {
		h.lan.must(os.RemoveAll(path + "/eth0"))
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
			h.lan.Error(err)
		}
		_ = os.RemoveAll(path)
	})
	return path
}
