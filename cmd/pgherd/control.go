package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/proxy/config"
)

// stopDeadlines limit how long stop waits for the server to be gone.
var stopDeadlines = map[string]time.Duration{smart: 10 * time.Minute, fast: time.Minute, immediate: 30 * time.Second}

// stopSignals are Pgpool-II's.
var stopSignals = map[string]unix.Signal{smart: unix.SIGTERM, fast: unix.SIGINT, immediate: unix.SIGQUIT}

// stop tells the server to stop and returns once it and its pid file are gone. It needs no more of
// the configuration than the pid file's name.
func stop(o *options, mode string) error {
	path, err := config.PidFile(o.config, o.commandLine())
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	pid, process, err := openServer(path)
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	defer unix.Close(process)
	if err := unix.PidfdSendSignal(process, stopSignals[mode], nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("stop: signal process %d: %w", pid, err)
	}
	if !awaitEnd(process, stopDeadlines[mode]) {
		return fmt.Errorf("stop: process %d is still running after %v; try a more urgent mode (-m fast, -m immediate)", pid, stopDeadlines[mode])
	}
	dropPidFile(path, pid) // it is left over if the server was killed
	os.Remove(outcomeFile(path))
	return nil
}

// reload checks the configuration, makes the server read it, and prints the result, and what is
// wrong beside it.
func reload(ctx context.Context, o *options, out, problems io.Writer) error {
	ownKey := o.key != ""
	c, warnings, err := o.load()
	if c == nil {
		return err
	}
	path := c.Files.Pid
	running, _ := readOutcome(outcomeFile(path)) // if no server is running, openServer says so
	c.Files.HBA, c.Files.PCP = cmp.Or(o.hba, running.HBA, c.Files.HBA), cmp.Or(o.pcp, running.PCP, c.Files.PCP)
	if !ownKey {
		c.Files.Key = cmp.Or(running.Key, c.Files.Key)
	}
	if err := everyError(ctx, c, err, complain(problems, warnings)); err != nil {
		return err
	}
	pid, process, err := openServer(path)
	if err != nil {
		return fmt.Errorf("reload: %w", err)
	}
	defer unix.Close(process)
	asked := sinceBoot()
	if err := unix.PidfdSendSignal(process, unix.SIGHUP, nil, 0); err != nil {
		return fmt.Errorf("reload: signal process %d: %w", pid, err)
	}
	became, err := awaitOutcome(outcomeFile(path), process, asked)
	if err != nil {
		return fmt.Errorf("reload: %w", err)
	}
	return became.tell(out)
}

// tell prints the result of a reload; it is an error if nothing was applied.
func (o outcome) tell(out io.Writer) error {
	if len(o.Errors) > 0 {
		return errors.New(strings.Join(o.Errors, "\n") + "\nthe configuration is as it was before")
	}
	changed := "nothing has changed"
	if len(o.Changed) > 0 {
		changed = "changed " + strings.Join(o.Changed, ", ")
	}
	fmt.Fprintln(out, "reloaded: "+changed)
	if len(o.Restart) > 0 {
		fmt.Fprintln(out, "warning: not in effect before a restart: "+strings.Join(o.Restart, ", "))
	}
	return nil
}

// openServer returns the process number of the running server, and a descriptor that stays the
// server's own, whoever gets the number later.
func openServer(path string) (pid, process int, err error) {
	pid, err = readPid(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, fmt.Errorf("no pid file %s; is the server running?", path)
	}
	if err != nil {
		return 0, 0, err
	}
	process, err = unix.PidfdOpen(pid, 0)
	if err == nil && isServer(pid) {
		return pid, process, nil
	}
	if err == nil {
		unix.Close(process)
	}
	return 0, 0, fmt.Errorf("no server has the pid %d of %s, which is left over", pid, path)
}

// awaitEnd waits for a process to end, and says whether it ended in time.
func awaitEnd(process int, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for {
		left := max(0, time.Until(deadline))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, int(left.Milliseconds()))
		if err != unix.EINTR || left == 0 {
			return n > 0
		}
	}
}
