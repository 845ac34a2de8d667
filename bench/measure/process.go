package measure

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of CPU times in /proc: USER_HZ, which is 100 on every Linux we know.
const tick = 10 * time.Millisecond

// process is what one line of /proc/PID/stat says.
type process struct {
	pid, parent int
	name        string
	waited      time.Duration // CPU of its children that have ended and been waited for
}

// processes are all that are there now. One that ends meanwhile is left out.
func processes() ([]process, error) {
	found, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var all []process
	for _, path := range found {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		p, err := parseStat(line)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		all = append(all, p)
	}
	return all, nil
}

// parseStat reads /proc/PID/stat; the name is in parentheses and may hold any byte.
func parseStat(line []byte) (process, error) {
	begin, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if begin < 0 || end < begin {
		return process{}, fmt.Errorf("no name in %q", line)
	}
	fields := strings.Fields(string(line[end+1:]))
	const parent, cutime, cstime = 1, 13, 14 // fields 4, 16 and 17 of proc(5)
	if len(fields) <= cstime {
		return process{}, fmt.Errorf("%d fields after the name", len(fields))
	}
	numbers := [4]int64{}
	for i, text := range []string{strings.TrimSpace(string(line[:begin])), fields[parent], fields[cutime], fields[cstime]} {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return process{}, err
		}
		numbers[i] = n
	}
	return process{
		pid: int(numbers[0]), parent: int(numbers[1]), name: string(line[begin+1 : end]),
		waited: time.Duration(numbers[2]+numbers[3]) * tick,
	}, nil
}

// tree is root and everything below it.
func tree(all []process, root int) []process {
	var found []process
	wanted := []int{root}
	for len(wanted) > 0 {
		pid := wanted[0]
		wanted = wanted[1:]
		for _, p := range all {
			if p.pid == pid {
				found = append(found, p)
			}
			if p.parent == pid && p.pid != pid {
				wanted = append(wanted, p.pid)
			}
		}
	}
	return found
}

// spent is the CPU time of these processes so far, and of their children that have ended.
func spent(some []process) time.Duration {
	var sum time.Duration
	for _, p := range some {
		sum += clock(p.pid) + p.waited
	}
	return sum
}

// clock reads the CPU clock of a process: all its threads, also those that have
// ended, in nanoseconds, where utime and stime of /proc/PID/stat count ticks.
func clock(pid int) time.Duration {
	const scheduled = 2 // CPUCLOCK_SCHED; the layout is part of the kernel's interface
	var t unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|scheduled), &t) != nil {
		return 0 // it has ended; its parent has its time now
	}
	return time.Duration(t.Nano())
}

func isSoftirq(p process) bool { return strings.HasPrefix(p.name, "ksoftirqd/") }

func only(all []process, want func(process) bool) []process {
	return slices.DeleteFunc(slices.Clone(all), func(p process) bool { return !want(p) })
}
