// Package measure reads what processes and the machine have spent, from /proc.
//
// Contract: a Meter is told the first process of the proxy (0 is none: nothing
// stands between client and PostgreSQL). Everything is a difference between
// Begin and End; the meter keeps no process alive and starts none.
package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Meter measures one proxy, with whoever drives it below our own process.
type Meter struct {
	proxy int
	begin reading
}

// Cost is what was spent between Begin and End.
type Cost struct {
	Elapsed time.Duration
	Proxy   time.Duration // CPU of the proxy's processes
	Whole   time.Duration // CPU of proxy, PostgreSQL, clients (all below us), and of the kernel's softirq threads
	Machine time.Duration // CPU of everybody, from /proc/stat
	Stolen  time.Duration // stolen by the hypervisor for other machines
	Calls   uint64        // system calls of the proxy's processes, if they were counted (CountCalls)
}

type reading struct {
	at   time.Time
	cost Cost
}

// New measures the process with this id and everything below it.
func New(proxy int) *Meter { return &Meter{proxy: proxy} }

// Begin begins; it returns the moment from which on everything counts.
func (m *Meter) Begin() (time.Time, error) {
	var err error
	m.begin, err = m.read()
	return m.begin.at, err
}

// End returns what was spent since Begin, and the moment up to which it counts.
func (m *Meter) End() (Cost, time.Time, error) {
	end, err := m.read()
	if err != nil {
		return Cost{}, time.Time{}, err
	}
	return between(m.begin, end), end.at, nil
}

// between is what was spent from one reading to another. The machine's CPU is counted
// in ticks of a whole processor, which can miss a short burst. What this process has
// spent is counted in nanoseconds and is part of it.
func between(begin, end reading) Cost {
	a, b := begin.cost, end.cost
	whole := b.Whole - a.Whole
	return Cost{
		Elapsed: end.at.Sub(begin.at), Proxy: b.Proxy - a.Proxy, Whole: whole,
		Machine: max(whole, b.Machine-a.Machine), Stolen: b.Stolen - a.Stolen,
	}
}

func (m *Meter) read() (reading, error) {
	all, err := processes()
	if err != nil {
		return reading{}, err
	}
	r := reading{at: time.Now()}
	if r.cost.Machine, r.cost.Stolen, err = machine(); err != nil {
		return reading{}, err
	}
	ours := tree(all, os.Getpid())
	r.cost.Whole = spent(ours) + spent(only(all, isSoftirq))
	if m.proxy == 0 {
		return r, nil
	}
	theirs := tree(all, m.proxy)
	if len(theirs) == 0 {
		return reading{}, fmt.Errorf("measure process %d: it is gone", m.proxy)
	}
	r.cost.Proxy = spent(theirs)
	if !includes(ours, m.proxy) {
		r.cost.Whole += r.cost.Proxy // it is a proxy that somebody else has started
	}
	return r, nil
}

func includes(some []process, pid int) bool {
	return len(only(some, func(p process) bool { return p.pid == pid })) > 0
}

// machine reads the first line of /proc/stat: user nice system idle iowait irq softirq steal ...
func machine() (busy, stolen time.Duration, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	const idle, iowait, steal, guest = 4, 5, 8, 9 // guest is in user already
	if len(fields) < guest {
		return 0, 0, fmt.Errorf("read /proc/stat: %q", line)
	}
	for i, text := range fields[1:guest] {
		ticks, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		switch i + 1 {
		case idle, iowait:
		case steal:
			stolen = time.Duration(ticks) * tick
		default:
			busy += time.Duration(ticks) * tick
		}
	}
	return busy, stolen, nil
}
