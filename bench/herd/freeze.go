package herd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Slay ends every process of node i by SIGKILL, as a loss of power of its machine does:
// nobody says goodbye. Restart starts it again.
func (h *Herd) Slay(i int) error {
	n, err := h.node(i)
	if err != nil {
		return err
	}
	var served []int // they outlive the postmaster for a moment, and hold its shared memory
	if n.running != nil {
		served = children(n.running.pid())
	}
	if err := h.signal(n, syscall.SIGKILL); err != nil {
		return err
	}
	<-n.running.done
	return poll(context.Background(), stopLimit, func() (bool, error) { return !slices.ContainsFunc(served, lives), nil })
}

// lives says that a process is there that has not ended.
func lives(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	_, rest, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// Freeze stops every process of node i: its kernel answers for it, and nobody else does.
func (h *Herd) Freeze(i int) error { return h.signalNode(i, syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (h *Herd) Thaw(i int) error { return h.signalNode(i, syscall.SIGCONT) }

// Shutdown asks node i for a fast shutdown, as systemctl stop does, and waits for it.
func (h *Herd) Shutdown(i int) error {
	n, err := h.node(i)
	if err != nil {
		return err
	}
	return n.running.stop(syscall.SIGINT)
}

func (h *Herd) signalNode(i int, sig syscall.Signal) error {
	n, err := h.node(i)
	if err != nil {
		return err
	}
	return h.signal(n, sig)
}

// signal sends a signal to the postmaster first, so that it starts nothing new, and then to
// its children.
func (h *Herd) signal(n *node, sig syscall.Signal) error {
	if n.running == nil || n.running.ended() {
		return fmt.Errorf("signal node %d: it does not run", n.Index)
	}
	pids := append([]int{n.running.pid()}, children(n.running.pid())...)
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("signal node %d: %w", n.Index, err)
		}
	}
	return nil
}

// children are the processes whose parent this is.
func children(parent int) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ") // the name before may hold anything
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
