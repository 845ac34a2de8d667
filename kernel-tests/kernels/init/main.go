// Command init is the first process of a kernel that is tested. It loads modules, runs programs one
// after the other, and powers off. What it prints is read by the test that has booted the kernel.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	terminal    = "/dev/ttyS1" // the kernel has ttyS0 for itself
	modulesList = "/modules/list"
	plan        = "/plan" // each line: a name, a folder, a program and its arguments, between tabs
	programTime = 8 * time.Minute
)

func main() {
	out, err := prepare()
	if err == nil {
		err = run(out)
	}
	if err != nil {
		fmt.Println("init:", err) // on the kernel's console
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func prepare() (out *os.File, err error) {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"},
		{"cgroup2", "/sys/fs/cgroup"}, {"bpf", "/sys/fs/bpf"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return nil, fmt.Errorf("make %s: %w", m.at, err)
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if out, err = os.OpenFile(terminal, os.O_WRONLY, 0); err != nil {
		return nil, fmt.Errorf("open terminal: %w", err)
	}
	var is unix.Utsname
	if err := unix.Uname(&is); err != nil {
		return nil, fmt.Errorf("ask for the kernel's version: %w", err)
	}
	fmt.Fprintf(out, "@@kernel\t%s\n", unix.ByteSliceToString(is.Release[:]))
	if err := load(); err != nil {
		return nil, err
	}
	os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	os.Setenv("HOME", "/tmp")
	if text, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("set lo up: %w: %s", err, text)
	}
	return out, nil
}

// load loads the modules in the order of their list.
func load() error {
	list, err := os.ReadFile(modulesList)
	if err != nil {
		return fmt.Errorf("read list of modules: %w", err)
	}
	for name := range strings.FieldsSeq(string(list)) {
		file, err := os.Open(filepath.Join(filepath.Dir(modulesList), name))
		if err == nil {
			err = unix.FinitModule(int(file.Fd()), "", 0)
			file.Close()
		}
		if err != nil {
			return fmt.Errorf("load module %s: %w", name, err)
		}
	}
	return nil
}

func run(out *os.File) error {
	file, err := os.Open(plan)
	if err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		program := strings.Split(lines.Text(), "\t")
		if len(program) < 3 {
			return fmt.Errorf("read plan: %q has too few columns", lines.Text())
		}
		fmt.Fprintf(out, "@@begin\t%s\n", program[0])
		began := time.Now()
		outcome := start(out, program[1], program[2:])
		fmt.Fprintf(out, "\n@@end\t%s\t%s\t%d\n", program[0], outcome, time.Since(began).Milliseconds())
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	_, err = io.WriteString(out, "@@done\n")
	return err
}

// start runs a program, and says in one word what came of it.
func start(out io.Writer, folder string, arguments []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), programTime)
	defer cancel()
	program := exec.CommandContext(ctx, arguments[0], arguments[1:]...)
	program.Dir, program.Stdout, program.Stderr = folder, out, out
	err := program.Run()
	switch {
	case ctx.Err() != nil:
		return "late"
	case err != nil:
		return strings.ReplaceAll(err.Error(), " ", "_")
	}
	return "ok"
}
