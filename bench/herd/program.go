package herd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// ProgramSettings say how to run another program that listens, such as a peer with
// which pgherd is compared.
type ProgramSettings struct {
	Binary string
	Port   int // of 127.0.0.1; 0 is a free one
	// Configure gets a folder and the port. It returns files to be written into the
	// folder, by name, and the program's arguments.
	Configure func(dir string, port int) (files map[string]string, args []string)
	// Stop is the signal that ends the program with all its children. The program also
	// gets it when this process dies.
	Stop syscall.Signal
}

// Program is such a program while it runs, as the user that PostgreSQL runs as.
type Program struct {
	Host string
	Port int
	Dir  string

	stop    syscall.Signal
	watcher *watcher
	running *process
}

// StartProgram returns when the program accepts connections; after an error nothing is left behind.
func StartProgram(ctx context.Context, settings ProgramSettings) (*Program, error) {
	dir, err := os.MkdirTemp("", "program-")
	if err != nil {
		return nil, fmt.Errorf("make a program's folder: %w", err)
	}
	p := &Program{Host: "127.0.0.1", Dir: dir, stop: settings.Stop}
	if p.watcher, err = watch(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := p.start(ctx, settings); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (p *Program) start(ctx context.Context, settings ProgramSettings) error {
	own, err := findOwner()
	if err != nil {
		return err
	}
	if err := own.give(p.Dir); err != nil {
		return err
	}
	if p.Port = settings.Port; p.Port == 0 {
		if p.Port, err = FreePort(); err != nil {
			return err
		}
	}
	files, args := settings.Configure(p.Dir, p.Port)
	for name, text := range files {
		if err := own.write(filepath.Join(p.Dir, name), text); err != nil {
			return err
		}
	}
	cmd := exec.Command(settings.Binary, args...)
	cmd.Dir = p.Dir
	if p.running, err = spawn(cmd, filepath.Join(p.Dir, "log"), own.cred, settings.Stop, ""); err != nil {
		return err
	}
	return p.running.waitAccept(ctx, net.JoinHostPort(p.Host, fmt.Sprint(p.Port)))
}

// PID is the program's first process.
func (p *Program) PID() int { return p.running.pid() }

// Log is the end of what it wrote to its output.
func (p *Program) Log() string { return p.running.tail() }

// Stop ends the program and removes its folder. It may be called twice.
func (p *Program) Stop() error {
	var err error
	if p.running != nil && !p.running.ended() {
		err = p.running.stop(p.stop)
	}
	return errors.Join(err, p.watcher.end())
}

// Run waits for a short-lived program, which dies with this process, and returns what it wrote
// to stdout.
func Run(ctx context.Context, name string, args ...string) (string, error) {
	return run(ctx, nil, name, args...)
}
