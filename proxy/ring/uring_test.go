package ring

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pgherd/proxy/ring/iouring"
)

func newURing(t *testing.T, set Settings) (*Loop, *uring) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	u := &uring{}
	l, err := start(u, set)
	if err != nil {
		NoLoop(t, err)
	}
	t.Cleanup(l.Close)
	return l, u
}

func openPair(t *testing.T, l *Loop) (c *Conn, other int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[1]) })
	return l.Open(fds[0], nil), fds[1]
}

// turns turns the loop until done, a thousand times at most.
func turns(t *testing.T, l *Loop, done func() bool) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		if err := l.Turn(briefWait); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("the loop was not done after a thousand turns")
}

// TestCompletionQueueOverflow checks that completions that do not fit into the queue wait in the kernel, and
// that none is lost.
func TestCompletionQueueOverflow(t *testing.T) {
	l, u := newURing(t, Settings{})
	c, other := openPair(t, l)
	for range 3 * iouring.Completions {
		u.cancel(opMask) // no operation has this name, so each cancel causes one completion
	}
	if _, err := unix.Write(other, []byte("behind them")); err != nil {
		t.Fatal(err)
	}
	var b *Buf
	turns(t, l, func() bool { b = c.Take(); return b != nil })
	if string(b.Bytes()) != "behind them" {
		t.Errorf("received %q", b.Bytes())
	}
	b.Release()
}

// TestWithoutReceiveLimit checks that, without the kernel's limit, one socket may take the whole window in one
// turn, but no more.
func TestWithoutReceiveLimit(t *testing.T) {
	l, u := newURing(t, Settings{Buffers: 256, BufferSize: 256, Quota: 8})
	u.limits = false
	greedy, other := openPair(t, l)
	if _, err := unix.Write(other, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	modest, other2 := openPair(t, l)
	if _, err := unix.Write(other2, []byte("me too")); err != nil {
		t.Fatal(err)
	}
	var b *Buf
	turns(t, l, func() bool { b = modest.Take(); return b != nil })
	b.Release()
	if n := greedy.held / l.set.BufferSize; n > 2*firstWindow {
		t.Errorf("the socket took %d buffers in one turn", n)
	}
	got := 0
	turns(t, l, func() bool {
		for b := greedy.Take(); b != nil; b = greedy.Take() {
			got += len(b.Bytes())
			b.Release()
		}
		return got == 100_000
	})
}

func TestTurnOnAnotherThreadFails(t *testing.T) {
	l, u := newURing(t, Settings{})
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		failed <- l.Turn(time.Millisecond)
	}()
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "another thread") {
		t.Errorf("Turn on another thread: got error %v", err)
	}
	u.queues.Err = nil // on its own thread Turn works
	if err := l.Turn(time.Millisecond); err != nil {
		t.Error(err)
	}
}

func TestWhereURingMayBeMissing(t *testing.T) {
	lacking := fmt.Errorf("start: %w", &iouring.MissingError{Cause: unix.EPERM})
	for _, c := range []struct {
		err       error
		release   string
		forbidden bool
		want      bool
	}{
		{lacking, "6.0.19-amd64", false, true},
		{lacking, "5.15.0", false, true},
		{lacking, "6.1.0-37-amd64", false, false},
		{lacking, "6.18.44", false, false},
		{lacking, "7.0-rc1", false, false},
		{lacking, "unheard of", false, false},
		{lacking, "6.18.44", true, true},
		{unix.EMFILE, "5.15.0", true, false},
	} {
		if got := mayLackURing(c.err, c.release, c.forbidden); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// TestWithoutPermission forbids io_uring to a thread of the test's own, which ends with the test.
func TestWithoutPermission(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // it is never unlocked, so that no other goroutine gets this thread
		if err := forbidURing(); err != nil {
			t.Logf("cannot forbid io_uring here: %v", err)
			return
		}
		if l, err := New(Settings{Engine: "io_uring"}); err == nil || l != nil {
			t.Error("the engine io_uring was started without permission")
		}
		l, err := New(Settings{})
		if err != nil {
			t.Error(err)
			return
		}
		defer l.Close()
		fs := l.Features()
		last := fs[len(fs)-1]
		if l.engine.Name() != "epoll" || last.Name != "io_uring" || last.Used || !strings.Contains(last.Reason, "permission") {
			t.Errorf("got engine %s with features %+v", l.engine.Name(), fs)
		}
	}()
	<-done
}

// forbidURing makes io_uring_setup fail with EPERM on this thread, as containers do.
func forbidURing() error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // loads the number of the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 425, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x00050000 | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x7fff0000},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, 2, uintptr(unsafe.Pointer(&program)), 0, 0)
}
