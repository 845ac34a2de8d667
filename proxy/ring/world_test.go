package ring_test

import (
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/ring"
	"pgherd/proxy/ring/ringtest"
)

// world is one engine, with its sockets, on which the contract is tested.
type world interface {
	loop(t *testing.T, set ring.Settings) *ring.Loop
	pair(t *testing.T) (fd int, p peer)
	lowWater(fd int) int // the mark of a socket that is still open
	dam() int            // so many bytes that no socket takes them while its peer does not read
	step()               // lets a little time pass
	wait() time.Duration // the wait to pass to Turn
}

// peer is the other end of a socket, which the test plays.
type peer interface {
	Write(p []byte) (int, error)
	Unsent() int
	ReadSome(limit int) []byte
	CloseWrite()
	Reset()
	Closed() error
	Gone() bool
}

// worlds runs test on every engine that this kernel has.
func worlds(t *testing.T, test func(t *testing.T, w world)) {
	for _, engine := range []string{"io_uring", "epoll"} {
		for _, family := range []string{"tcp", "unix"} {
			t.Run(engine+"/"+family, func(t *testing.T) { test(t, newKernel(t, engine, family)) })
		}
	}
	for seed := range uint64(4) {
		t.Run("simulation/"+string(rune('0'+seed)), func(t *testing.T) { test(t, &simulation{ringtest.New(seed)}) })
	}
}

// limited skips a test where the kernel may give one socket all the buffers that it has.
func limited(t *testing.T, l *ring.Loop) {
	t.Helper()
	for _, f := range l.Features() {
		if f.Name == "receive limit" && !f.Used {
			t.Skipf("use %s (Linux %s): %s", f.Name, f.MinVersion, f.Reason)
		}
	}
}

type simulation struct{ *ringtest.Network }

func (s *simulation) loop(t *testing.T, set ring.Settings) *ring.Loop {
	l := ring.NewWith(s.Engine(), set)
	t.Cleanup(l.Close)
	return l
}

func (s *simulation) pair(*testing.T) (int, peer) { return s.Pair() }
func (s *simulation) lowWater(fd int) int         { return s.LowWater(fd) }
func (s *simulation) dam() int                    { return 64 << 10 }
func (s *simulation) step()                       { s.Step() }
func (s *simulation) wait() time.Duration         { return ring.Forever }

// kernel is the machine's own kernel; its peers are plain non-blocking sockets.
type kernel struct {
	engine, family string
	peers          []*kernelPeer
	clock          *time.Duration // nil: the engine's own clock
	tick           time.Duration  // by which a step advances clock
}

// lockThread must be called before the loop is made, because clean-ups run in reverse.
func lockThread(t testing.TB) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
}

func newKernel(t *testing.T, engine, family string) *kernel {
	lockThread(t)
	return &kernel{engine: engine, family: family}
}

func (k *kernel) loop(t *testing.T, set ring.Settings) *ring.Loop {
	set.Engine = k.engine
	create := ring.New
	if k.clock != nil {
		create = func(set ring.Settings) (*ring.Loop, error) { return ring.NewClocked(set, k.clock) }
	}
	l, err := create(set)
	if err != nil {
		ring.NoLoop(t, err)
	}
	t.Cleanup(l.Close)
	return l
}

func (k *kernel) lowWater(fd int) int {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT)
	if err != nil {
		panic(err)
	}
	return n
}

func (k *kernel) dam() int { return 16 << 20 }

func (k *kernel) wait() time.Duration { return 200 * time.Microsecond }

func (k *kernel) step() {
	if k.clock != nil {
		*k.clock += k.tick
	}
	for _, p := range k.peers {
		p.pump()
	}
}

func (k *kernel) pair(t *testing.T) (int, peer) {
	t.Helper()
	var fds [2]int
	var err error
	if k.family == "unix" {
		fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	} else {
		fds, err = tcpPair()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &kernelPeer{fd: fds[1], tcp: k.family == "tcp"}
	k.peers = append(k.peers, p)
	t.Cleanup(p.close)
	return fds[0], p
}

// tcpPair connects two sockets over loopback, on a port that the kernel chooses.
func tcpPair() (fds [2]int, err error) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fds, err
	}
	defer unix.Close(l)
	if err = errors.Join(unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(l, 1)); err != nil {
		return fds, err
	}
	at, err := unix.Getsockname(l)
	if err != nil {
		return fds, err
	}
	if fds[1], err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fds, err
	}
	if err = unix.Connect(fds[1], at); err == nil {
		fds[0], _, err = unix.Accept4(l, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	}
	for _, fd := range fds {
		err = errors.Join(err, unix.SetNonblock(fd, true), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	}
	return fds, err
}

type kernelPeer struct {
	fd     int
	tcp    bool
	outbox []byte
	fin    bool
	ended  error
}

func (p *kernelPeer) Write(b []byte) (int, error) {
	p.outbox = append(p.outbox, b...)
	p.pump()
	return len(b), nil
}

func (p *kernelPeer) Unsent() int { return len(p.outbox) }

// pump sends as PostgreSQL does, 8 KB at a time.
func (p *kernelPeer) pump() {
	for len(p.outbox) > 0 && p.fd >= 0 {
		n, err := unix.SendmsgN(p.fd, p.outbox[:min(len(p.outbox), 8<<10)], nil, nil, unix.MSG_NOSIGNAL)
		if err != nil && err != unix.EAGAIN {
			p.outbox = nil
			return
		}
		if n <= 0 {
			return
		}
		p.outbox = p.outbox[n:]
	}
	if p.fin && p.fd >= 0 {
		p.fin = false
		_ = unix.Shutdown(p.fd, unix.SHUT_WR)
	}
}

func (p *kernelPeer) ReadSome(limit int) []byte {
	b := make([]byte, limit)
	if limit == 0 || p.fd < 0 || p.ended != nil {
		return nil
	}
	n, err := unix.Read(p.fd, b)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		p.ended = err
		return nil
	case n == 0:
		p.ended = io.EOF
	}
	return b[:n]
}

func (p *kernelPeer) CloseWrite() { p.fin = true; p.pump() }

// Reset sends RST. A Unix socket has none; it resets if it is closed with unread bytes, and otherwise just ends.
func (p *kernelPeer) Reset() {
	p.outbox = nil
	_ = unix.SetsockoptLinger(p.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	p.close()
	p.ended = unix.ECONNRESET
}

func (p *kernelPeer) Closed() error { return p.ended }

// Gone asks the kernel whether the other end is closed.
func (p *kernelPeer) Gone() bool {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLRDHUP}}
	n, _ := unix.Poll(fds, 0)
	return n > 0 && fds[0].Revents&(unix.POLLRDHUP|unix.POLLHUP) != 0
}

func (p *kernelPeer) close() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
		p.fd = -1
	}
}

// patience limits every wait of a test, in turns.
const patience = 50_000

// until turns the loops, and lets time pass, until done.
func until(t *testing.T, w world, done func() bool, loops ...*ring.Loop) {
	t.Helper()
	for range patience {
		for _, l := range loops {
			if err := l.Turn(w.wait()); err != nil {
				t.Fatal(err)
			}
		}
		if done() {
			return
		}
		w.step()
	}
	t.Fatal("the condition did not come true")
}

// pass turns the loops n times.
func pass(t *testing.T, w world, n int, loops ...*ring.Loop) {
	t.Helper()
	k := 0
	until(t, w, func() bool { k++; return k >= n }, loops...)
}

// whole checks that every buffer has come back and every Conn is gone.
func whole(t *testing.T, w world, loops ...*ring.Loop) {
	t.Helper()
	for _, l := range loops {
		total := l.Unused()
		until(t, w, func() bool { total = l.Unused(); return l.OpenConns() == 0 }, l)
		if memory, size := l.Memory(); total != len(memory)/size {
			t.Errorf("%d of %d shared buffers are back", total, len(memory)/size)
		}
	}
}

// stream is byte i of a stream, so that order and completeness can be checked without keeping the stream.
func stream(seed, i int) byte { return byte((i*7919 + i>>8*31 + seed*101) >> 3) }

func streamed(seed, from, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = stream(seed, from+i)
	}
	return p
}

// check compares bytes with the stream at the position from.
func check(t *testing.T, what string, seed, from int, p []byte) {
	t.Helper()
	for i, b := range p {
		if b != stream(seed, from+i) {
			t.Fatalf("%s: byte %d of the stream differs", what, from+i)
		}
	}
}

// collector takes everything that arrives, and releases it.
type collector struct {
	got   []byte
	calls int
}

func (o *collector) Ready(c *ring.Conn) {
	o.calls++
	for b := c.Take(); b != nil; b = c.Take() {
		o.got = append(o.got, b.Bytes()...)
		b.Release()
	}
}
