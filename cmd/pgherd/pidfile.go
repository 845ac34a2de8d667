package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// claimTries limits how often a left-over pid file is replaced before giving up.
const claimTries = 3

// programNames are the names a running server may have.
var programNames = []string{"pgherd", "pgpool"}

// The folders of pid files that no configuration names: Pgpool-II's, where it is installed, and
// pgherd's own, which root makes.
const (
	pgpoolRunFolder = "/var/run/pgpool"
	runFolder       = "/run/pgherd"
)

// usualPidFile is the path of the pid file if the configuration names none. It is the same for
// every command that the same user runs.
func usualPidFile(port int) string {
	session := os.Getenv("XDG_RUNTIME_DIR")
	switch {
	case writable(pgpoolRunFolder):
		return pgpoolRunFolder + "/pgpool.pid"
	case writable(runFolder), os.Getuid() == 0:
		return runFolder + "/pgherd.pid"
	case session != "" && writable(session):
		return session + "/pgherd.pid"
	}
	return fmt.Sprintf("/tmp/.s.PGHERD.%d.pid", port)
}

func writable(folder string) bool { return unix.Access(folder, unix.W_OK|unix.X_OK) == nil }

// claimPidFile writes this process's number to path, as a whole or not at all, unless a server
// is still running under the number in it. It replaces a file that a crash has left.
func claimPidFile(path string) error {
	if filepath.Dir(path) == runFolder {
		_ = os.Mkdir(runFolder, 0o755) // if it cannot be made, the file cannot either
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = fmt.Fprintln(temporary, os.Getpid())
	if err = errors.Join(err, temporary.Chmod(0o644), temporary.Close()); err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	for range claimTries {
		err = os.Link(temporary.Name(), path)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		if pid, err := readPid(path); err == nil && isServer(pid) {
			return fmt.Errorf("already running with pid %d (%s)", pid, path)
		}
		os.Remove(path)
	}
	if err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	return nil
}

// dropPidFile removes the pid file if it still has this process's number.
func dropPidFile(path string, pid int) {
	if found, err := readPid(path); err == nil && found == pid {
		os.Remove(path)
	}
}

func readPid(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read pid file: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("read pid file %s: not the number of a process", path)
	}
	return pid, nil
}

// isServer says that another process with this number is running and has the name of a pgherd.
// After a restart of the machine or container the number may be any process's, even this one's.
func isServer(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || pid == os.Getpid() {
		return false
	}
	// "pid (name) state ...": the name may itself contain brackets.
	from, to := strings.IndexByte(string(stat), '('), strings.LastIndexByte(string(stat), ')')
	if from < 0 || to < from || len(stat) < to+3 {
		return false
	}
	state := stat[to+2]
	return state != 'Z' && state != 'X' && slices.Contains(programNames, string(stat[from+1:to]))
}
