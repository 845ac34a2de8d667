package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// outcome is the result of the latest reload, for the process that asked for one. The file lies
// beside the pid file while the server runs. It also has the files that the server's command line
// names.
type outcome struct {
	Began   time.Duration `json:"began"` // when it began, in time since the machine was started (CLOCK_BOOTTIME); 0: there was no reload yet
	Errors  []string      `json:"errors,omitempty"`
	Changed []string      `json:"changed,omitempty"`
	Restart []string      `json:"restart,omitempty"` // changed, and not in effect before a restart
	HBA     string        `json:"hba_file,omitempty"`
	PCP     string        `json:"pcp_file,omitempty"`
	Key     string        `json:"key_file,omitempty"`
}

// reloadDeadline limits how long reload waits for the result: reading the files may run a
// command that asks for a passphrase, which has 30 s.
const reloadDeadline = time.Minute

// outcomeFile is where the server with a pid file writes the result.
func outcomeFile(pidFile string) string { return pidFile + ".reload" }

// sinceBoot is a clock that the server and the process that asks it to reload have in
// common. It is never set, and counts while the machine is suspended.
func sinceBoot() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // every Linux has it
	return time.Duration(t.Nano())
}

// write writes the file as a whole or not at all.
func (o outcome) write(path string) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write result of reload: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write result of reload: %w", err)
	}
	return nil
}

func readOutcome(path string) (o outcome, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(text, &o)
}

// awaitOutcome waits for the result of a reload that began after it was asked for. process is
// the server's.
func awaitOutcome(path string, process int, asked time.Duration) (outcome, error) {
	const step = 20 * time.Millisecond
	for waited := time.Duration(0); waited < reloadDeadline; waited += step {
		if o, err := readOutcome(path); err == nil && o.Began >= asked {
			return o, nil
		}
		if awaitEnd(process, step) {
			return outcome{}, errors.New("the server has ended meanwhile; see its log")
		}
	}
	return outcome{}, fmt.Errorf("the server has not reported a result within %v; see its log", reloadDeadline)
}
