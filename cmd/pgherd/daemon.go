package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startDeadline limits how long a daemon may take to listen.
const startDeadline = time.Minute

// readyVariable names, for the daemon, the descriptor on which its parent waits for one byte.
const readyVariable = "PGHERD_READY_FD"

// readyDescriptor is the first of exec.Cmd's ExtraFiles.
const readyDescriptor = 3

// launch runs the server here, or as a daemon.
func launch(o *options, start starter) error {
	if os.Getenv(readyVariable) == strconv.Itoa(readyDescriptor) {
		unix.CloseOnExec(readyDescriptor)
		return serve(o, start, detach)
	}
	if o.foreground {
		return serve(o, start, func() error { return nil })
	}
	return daemonise()
}

// daemonise starts this program again in a session of its own and waits until it listens. Until
// then the daemon's output, above all its errors, goes to this process's stderr.
func daemonise() error {
	ready, readyEnd, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	said, saidEnd, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	daemon := exec.Command(ownPath(), os.Args[1:]...)
	daemon.Args[0] = os.Args[0]
	daemon.Env = append(os.Environ(), fmt.Sprintf("%s=%d", readyVariable, readyDescriptor))
	daemon.ExtraFiles = []*os.File{readyEnd}
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	daemon.Stderr = saidEnd
	if isFile(os.Stderr) {
		daemon.Stderr = os.Stderr // it is a log file, to which the daemon goes on writing
	}
	if err := daemon.Start(); err != nil {
		return fmt.Errorf("start daemon: %w", err)
	}
	readyEnd.Close()
	saidEnd.Close()
	return awaitReady(daemon, ready, said)
}

// awaitReady passes on the daemon's output and returns when the daemon is ready, has ended, or is
// too late.
func awaitReady(daemon *exec.Cmd, ready, said *os.File) error {
	copied := make(chan struct{})
	go func() {
		io.Copy(os.Stderr, said)
		close(copied)
	}()
	err := ready.SetReadDeadline(time.Now().Add(startDeadline))
	if err == nil {
		_, err = ready.Read(make([]byte, 1))
	}
	if err == nil {
		<-copied // the daemon has closed its end of the pipe before
		return nil
	}
	if !errors.Is(err, io.EOF) {
		daemon.Process.Kill()
		daemon.Wait()
		return fmt.Errorf("start daemon: it is not ready after %v: %w", startDeadline, err)
	}
	err = daemon.Wait()
	<-copied
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return errReported
	}
	return fmt.Errorf("start daemon: it ended before it was ready: %v", err)
}

// detach, in the daemon, gives up the parent's terminal and folder, and then tells the parent that
// the daemon is ready.
func detach() error {
	os.Unsetenv(readyVariable)
	if !isFile(os.Stderr) {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer null.Close()
		if err := unix.Dup3(int(null.Fd()), int(os.Stderr.Fd()), 0); err != nil {
			return fmt.Errorf("detach stderr: %w", err)
		}
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	ready := os.NewFile(readyDescriptor, "ready")
	defer ready.Close()
	_, err := ready.Write([]byte{1})
	return err
}

func isFile(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// ownPath is the path by which the program was called, so that the daemon keeps its name (pgpool), or else
// the program's own path.
func ownPath() string {
	own, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	called, err := exec.LookPath(os.Args[0])
	if err != nil {
		return own
	}
	a, errA := os.Stat(own)
	b, errB := os.Stat(called)
	if errA != nil || errB != nil || !os.SameFile(a, b) {
		return own
	}
	return called
}
