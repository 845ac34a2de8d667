package herd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Cut takes node i off the network: what arrives at a socket of its port, or at one that is connected to it, is dropped, and
// neither side is told. The sockets are those of the nodes and of these other processes. It is done by a filter on each of
// those sockets, so nothing else on the machine notices, and nothing is left once they are closed. Unix sockets go on.
// It needs the right to debug the processes, as root and whoever has started them mostly have.
func (h *Herd) Cut(i int, others ...int) error { return h.filter(i, dropAll, others) }

// Mend ends a Cut.
func (h *Herd) Mend(i int, others ...int) error { return h.filter(i, passAll, others) }

// dropAll has a socket drop whatever arrives.
func dropAll(socket int) error {
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	return unix.SetsockoptSockFprog(socket, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
}

func passAll(socket int) error {
	err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	if errors.Is(err, unix.ENOENT) { // it has none
		return nil
	}
	return err
}

// filter changes every socket of a node's port.
func (h *Herd) filter(i int, change func(socket int) error, others []int) error {
	n, err := h.node(i)
	if err != nil {
		return err
	}
	pids := slices.Clone(others)
	for _, each := range h.Nodes() {
		if each.PID > 0 {
			pids = append(append(pids, each.PID), children(each.PID)...)
		}
	}
	for _, pid := range pids {
		if err := eachSocket(pid, n.Port, change); err != nil {
			return fmt.Errorf("filter the network of node %d: process %d: %w", i, pid, err)
		}
	}
	return nil
}

// eachSocket calls change with each TCP socket of a process that has this port at one of its ends. It may have ended.
func eachSocket(pid, port int, change func(socket int) error) error {
	process, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	} else if err != nil {
		return err
	}
	defer unix.Close(process)
	files, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "fd", "*"))
	for _, file := range files {
		if to, err := os.Readlink(file); err != nil || !strings.HasPrefix(to, "socket:") {
			continue
		}
		number, _ := strconv.Atoi(filepath.Base(file))
		socket, err := unix.PidfdGetfd(process, number, 0)
		if errors.Is(err, unix.EBADF) || errors.Is(err, unix.ESRCH) { // it has been closed
			continue
		} else if err != nil {
			return err
		}
		if isOf(socket, port) {
			err = change(socket)
		}
		unix.Close(socket)
		if err != nil {
			return err
		}
	}
	return nil
}

// isOf says that a socket listens on a port, is connected to it, or was accepted there.
func isOf(socket, port int) bool {
	here, _ := unix.Getsockname(socket)
	there, _ := unix.Getpeername(socket)
	for _, end := range []unix.Sockaddr{here, there} {
		if at, ok := end.(*unix.SockaddrInet4); ok && at.Port == port {
			return true
		}
	}
	return false
}
