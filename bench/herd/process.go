package herd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	acceptLimit = 20 * time.Second // from a program's start to the first connection

	pollEvery = 20 * time.Millisecond
	stopLimit = 10 * time.Second // from a polite signal to SIGKILL
)

// starts is where every child is started from. The kernel sends PR_SET_PDEATHSIG
// when the *thread* that started the child ends, and the Go runtime may end
// threads; this one is locked to a goroutine that lasts as long as the process.
var starts = sync.OnceValue(func() chan func() {
	queue := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range queue {
			start()
		}
	}()
	return queue
})

// startChild starts cmd in a network namespace, of which this is the file; "": in this process's.
func startChild(cmd *exec.Cmd, namespace string) error {
	failed := make(chan error, 1)
	starts() <- func() { failed <- within(namespace, cmd.Start) }
	return <-failed
}

// within calls a function on this thread in a network namespace.
func within(namespace string, start func() error) error {
	if namespace == "" {
		return start()
	}
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer own.Close()
	other, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer other.Close()
	if err := unix.Setns(int(other.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter %s: %w", namespace, err)
	}
	return errors.Join(start(), unix.Setns(int(own.Fd()), unix.CLONE_NEWNET))
}

// process is a child that runs in the background; its output goes to a file.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// spawn starts cmd with its output appended to log. When this process dies, cmd gets
// the signal dying.
func spawn(cmd *exec.Cmd, log string, cred *syscall.Credential, dying syscall.Signal, namespace string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = environment(cred)
	// A session of its own, because Ctrl-C is for this process, which stops its
	// children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: cred, Pdeathsig: dying}
	if err := startChild(cmd, namespace); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop sends sig and, past a limit, SIGKILL; it returns when the process has ended.
func (p *process) stop(sig syscall.Signal) error {
	_ = p.cmd.Process.Signal(sig) // an error says that it has ended
	select {
	case <-p.done:
		return nil
	case <-time.After(stopLimit):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("stop %s: still there %v after %v", p.cmd.Path, stopLimit, sig)
}

// waitAccept returns when somebody accepts connections at addr, as host:port.
func (p *process) waitAccept(ctx context.Context, addr string) error {
	err := poll(ctx, acceptLimit, func() (bool, error) {
		if p.ended() {
			return false, fmt.Errorf("start %s: it ended", p.cmd.Path)
		}
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false, nil
		}
		return true, conn.Close()
	})
	if err != nil {
		return fmt.Errorf("%w; %s", err, p.tail())
	}
	return nil
}

// tail is the end of its log, for an error message.
func (p *process) tail() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return "its log ends:\n" + string(data[max(0, len(data)-2000):])
}

// run waits for a short-lived program and returns what it wrote to stdout.
func run(ctx context.Context, cred *syscall.Credential, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = environment(cred)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGKILL}
	if cred != nil {
		cmd.Dir = "/" // this process's folder may be closed to that user
	}
	if err := startChild(cmd, ""); err != nil {
		return "", fmt.Errorf("start %s: %w", name, err)
	}
	stopped := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stopped()
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("run %s: %w: %s", name, errors.Join(err, ctx.Err()), strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// environment is this process's, without what would influence PostgreSQL's programs. Another
// user may not look into this one's home, where libpq looks for certificates.
func environment(cred *syscall.Credential) []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "PG") || cred != nil && strings.HasPrefix(entry, "HOME=")
	})
	return append(env, "LC_ALL=C")
}

// poll asks until the answer is yes or an error, or until the limit.
func poll(ctx context.Context, limit time.Duration, yes func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if ok, err := yes(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait up to %v: %w", limit, ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}
