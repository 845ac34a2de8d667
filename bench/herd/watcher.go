package herd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// watcher removes a folder when it is told to, or when this process has died.
type watcher struct {
	pipe *os.File // the watcher waits for its end, which comes when this process closes it or dies
	cmd  *exec.Cmd
	once sync.Once
	err  error // how end ended
}

// Servers that were just told to die may still write for a moment, so there are a few
// tries.
const watchScript = `read -r _; for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" 2>/dev/null && exit 0; sleep 0.2; done; exit 1`

func watch(dir string) (*watcher, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the watcher's pipe: %w", err)
	}
	defer read.Close()
	cmd := exec.Command("/bin/sh", "-c", watchScript, "sh", dir)
	cmd.Stdin = read
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start watcher: %w", err), write.Close())
	}
	return &watcher{pipe: write, cmd: cmd}, nil
}

// end removes the folder now; a second call does nothing.
func (w *watcher) end() error {
	w.once.Do(func() {
		// Wait has a limit: the script tries ten times and ends; the limit is for a disk
		// that hangs.
		stuck := time.AfterFunc(stopLimit, func() { _ = w.cmd.Process.Kill() })
		defer stuck.Stop()
		if err := errors.Join(w.pipe.Close(), w.cmd.Wait()); err != nil {
			w.err = fmt.Errorf("remove folder: %w", err)
		}
	})
	return w.err
}
