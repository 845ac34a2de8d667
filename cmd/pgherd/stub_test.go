package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgherd/proxy/config"
)

// TestMain makes this test binary act as the program, with a stub for the server, when it is called by one of the program's
// names.
func TestMain(m *testing.M) {
	if slices.Contains(programNames, filepath.Base(os.Args[0])) {
		os.Exit(run(os.Args, startStub))
	}
	dir, err := os.MkdirTemp("", "pgherd-cli-")
	if err == nil {
		err = install(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	os.Setenv("GORACE", "atexit_sleep_ms=0") // otherwise each program with the race detector ends a second late
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// bin is the folder with the programs pgherd and pgpool.
var bin string

func install(dir string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(own)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(dir, "pgherd"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close(), os.Symlink("pgherd", filepath.Join(dir, "pgpool")))
}

// stub is a server that records in work_dir/events what it is told.
type stub struct {
	dir      string
	stubborn bool
	slow     bool // reloads take long
	stop     func()
	stopped  chan struct{}
}

// startStub starts a stub that behaves as the file work_dir/behave says.
func startStub(ctx context.Context, c *config.Config, log *slog.Logger) (Server, error) {
	behave, _ := os.ReadFile(filepath.Join(c.Files.WorkDir, "behave"))
	switch string(behave) {
	case "fail":
		return nil, errors.New("listen: address in use")
	case "panic":
		panic("stub falls over")
	case "hang":
		note(c.Files.WorkDir, "hanging")
		if !hang(ctx, filepath.Join(c.Files.WorkDir, "go")) {
			return nil, errors.New("start called off")
		}
	}
	s := &stub{dir: c.Files.WorkDir, stubborn: string(behave) == "stubborn", slow: string(behave) == "slow", stopped: make(chan struct{})}
	s.stop = sync.OnceFunc(func() { close(s.stopped) })
	f := c.Files
	note(s.dir, fmt.Sprintf("start port=%d level=%s discard=%v hba=%s pcp=%s key=%s", c.Listen.Port, c.Log.MinMessages, f.DiscardStatus, f.HBA, f.PCP, f.Key))
	return s, nil
}

// hang waits until a file exists. It is false if ctx ends first.
func hang(ctx context.Context, file string) bool {
	for tick := time.Tick(20 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			return false
		case <-tick:
			if _, err := os.Stat(file); err == nil {
				return true
			}
		}
	}
}

func (s *stub) Reload(c *config.Config) error {
	if s.slow {
		time.Sleep(300 * time.Millisecond)
	}
	if why, err := os.ReadFile(filepath.Join(s.dir, "refuse")); err == nil {
		return errors.New(string(why))
	}
	note(s.dir, fmt.Sprintf("reload port=%d clients=%d", c.Listen.Port, c.Limits.Clients))
	return nil
}

func (s *stub) Drain(mode string) {
	note(s.dir, "drain "+mode)
	if !s.stubborn || mode == immediate {
		s.stop()
	}
}

func (s *stub) Wait() error {
	<-s.stopped
	return nil
}

func note(dir, event string) {
	f, err := os.OpenFile(filepath.Join(dir, "events"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintln(f, event)
}

// site is a folder with a configuration, and with what a server leaves in it.
type site struct {
	*testing.T
	dir string
}

func newSite(t *testing.T, extra string) site {
	s := site{t, t.TempDir()}
	s.write("pgpool.conf", "backend_hostname0 = localhost\nlisten_addresses = ''\nunix_socket_directories = '"+s.dir+"'\npid_file_name = pid\nwork_dir = '.'\n"+extra)
	t.Cleanup(func() { // this ends what a failed test leaves running
		if pid, err := readPid(s.path("pid")); err == nil && isServer(pid) {
			s.pgherd("stop", "-m", "immediate", "-f", s.path("pgpool.conf"))
		}
	})
	return s
}

func (s site) path(name string) string { return filepath.Join(s.dir, name) }

func (s site) write(name, text string) {
	s.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.Fatal(err)
	}
}

func (s site) read(name string) string {
	text, _ := os.ReadFile(s.path(name))
	return string(text)
}

func (s site) exists(name string) bool {
	_, err := os.Stat(s.path(name))
	return err == nil
}

// patience is the deadline of every wait for another process in these tests.
const patience = 30 * time.Second

// pgpool and pgherd run a command in the site's folder and return what it prints and its exit status.
func (s site) pgpool(args ...string) (string, int) { s.Helper(); return s.call("pgpool", args) }
func (s site) pgherd(args ...string) (string, int) { s.Helper(); return s.call("pgherd", args) }

func (s site) call(name string, args []string) (string, int) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, name), args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = s.dir, &out, &out, time.Second
	cmd.Env = append(os.Environ(), "HOME=/nowhere", "PGPOOLKEYFILE=")
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok || ctx.Err() != nil {
		s.Fatalf("%s %v: %v, %v\n%s", name, args, err, ctx.Err(), &out)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// start runs a server in the foreground, and returns it once it is ready. Its log goes to the file "log".
func (s site) start(args ...string) *exec.Cmd {
	s.Helper()
	log, err := os.Create(s.path("log"))
	if err != nil {
		s.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(bin, "pgpool"), append([]string{"-n", "-f", "pgpool.conf"}, args...)...)
	cmd.Dir, cmd.Stderr, cmd.Stdout = s.dir, log, log
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}

// await waits until a file of the site contains some text.
func (s site) await(name, text string) {
	s.Helper()
	for end := time.Now().Add(patience); !strings.Contains(s.read(name), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.Fatalf("the file %s never had %q:\n%s\nlog:\n%s", name, text, s.read(name), s.read("log"))
		}
	}
}
