package measure

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Calls counts the system calls of a process, of everything below it, and of what these
// start later. While it counts, every system call of the machine is a little slower, so
// nothing else should be measured then.
type Calls struct{ events []int }

const enterEvent = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id"

// CountCalls begins to count. It fails where the kernel or the user's rights do not
// allow it.
func CountCalls(root int) (c Calls, err error) {
	event, err := eventID()
	if err != nil {
		return c, err
	}
	all, err := processes()
	if err != nil {
		return c, err
	}
	for _, p := range tree(all, root) {
		if err := c.add(p.pid, event); err != nil {
			return c, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

func eventID() (uint64, error) {
	text, err := os.ReadFile(enterEvent)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

// add counts for every thread of a process; threads and processes that they
// begin are counted with them.
func (c *Calls) add(pid int, event uint64) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
	if err != nil {
		return err
	}
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: event, Bits: unix.PerfBitInherit}
	attr.Size = uint32(binary.Size(attr))
	for _, path := range threads {
		thread, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			return err
		}
		fd, err := unix.PerfEventOpen(&attr, thread, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return fmt.Errorf("count system calls of thread %d: %w", thread, err)
		}
		c.events = append(c.events, fd)
	}
	return nil
}

// Count returns how many there were so far.
func (c *Calls) Count() (count uint64, err error) {
	var number [8]byte
	for _, fd := range c.events {
		if _, err := unix.Read(fd, number[:]); err != nil {
			return 0, fmt.Errorf("read count of system calls: %w", err)
		}
		count += binary.NativeEndian.Uint64(number[:])
	}
	return count, nil
}

// Close ends counting. It takes the kernel some time.
func (c *Calls) Close() error {
	var errs []error
	for _, fd := range c.events {
		errs = append(errs, unix.Close(fd))
	}
	c.events = nil
	return errors.Join(errs...)
}
