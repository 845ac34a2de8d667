package observe

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cable is a pair of interfaces. One end is here, the other in a network namespace of its own, so
// that it can be cut without either side being told.
type cable struct {
	space     string
	near, far string // interfaces
	network   string // without the last number of its addresses
	address   string // of the far end
}

// newCable is there until the test ends.
func newCable(t testing.TB) *cable {
	t.Helper()
	id := os.Getpid() % 10000
	c := &cable{space: fmt.Sprint("pgherd", id), near: fmt.Sprint("pgh", id, "a"), far: fmt.Sprint("pgh", id, "b")}
	c.network = fmt.Sprintf("10.%d.%d.", 200+id/250, id%250)
	c.address = c.network + "2"
	ip(t, "netns", "add", c.space)
	t.Cleanup(func() { ip(t, "netns", "del", c.space) })
	ip(t, "link", "add", c.near, "type", "veth", "peer", "name", c.far, "netns", c.space)
	ip(t, "addr", "add", c.network+"1/30", "dev", c.near)
	ip(t, "link", "set", c.near, "up")
	ip(t, "-n", c.space, "addr", "add", c.address+"/30", "dev", c.far)
	ip(t, "-n", c.space, "link", "set", c.far, "up")
	return c
}

// cut takes the far end down. What is sent is kept here, or dropped.
func (c *cable) cut(t testing.TB) (mend func(testing.TB)) {
	ip(t, "-n", c.space, "link", "set", c.far, "down")
	return func(t testing.TB) { ip(t, "-n", c.space, "link", "set", c.far, "up") }
}

// patience sets how long the kernel waits for an acknowledgement at least.
func (c *cable) patience(t testing.TB, least time.Duration) {
	ip(t, "route", "change", c.network+"0/30", "dev", c.near, "proto", "kernel", "scope", "link", "src", c.network+"1",
		"rto_min", fmt.Sprint(least.Milliseconds(), "ms"))
}

// vanish takes the address away from the far end. What is sent gets there, and nobody answers.
func (c *cable) vanish(t testing.TB) (back func(testing.TB)) {
	ip(t, "-n", c.space, "addr", "del", c.address+"/30", "dev", c.far)
	return func(t testing.TB) { ip(t, "-n", c.space, "addr", "add", c.address+"/30", "dev", c.far) }
}

func ip(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// listen listens at the far end.
func (c *cable) listen(t testing.TB) net.Listener {
	t.Helper()
	type result struct {
		net.Listener
		error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine, because it is elsewhere now
		space, err := os.Open("/run/netns/" + c.space)
		if err == nil {
			defer space.Close()
			err = unix.Setns(int(space.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			made <- result{error: err}
			return
		}
		l, err := plain.Listen(context.Background(), "tcp4", c.address+":0")
		made <- result{l, err}
	}()
	r := <-made
	if r.error != nil {
		t.Fatal(r.error)
	}
	t.Cleanup(func() { r.Listener.Close() })
	return r.Listener
}

// plain listens by TCP itself, as pgherd does. What Go makes otherwise is multipath TCP.
var plain = func() (c net.ListenConfig) {
	c.SetMultipathTCP(false)
	return c
}()
