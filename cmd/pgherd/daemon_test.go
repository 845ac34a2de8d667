package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestDaemon(t *testing.T) {
	s := newSite(t, "")
	out, code := s.pgpool("-f", "pgpool.conf")
	if code != 0 || !strings.Contains(out, "LOG:  pgherd 0.1.0 starting") || !strings.Contains(out, "LOG:  node 0: localhost:5432") {
		t.Fatalf("start: got status %d, output %s", code, out)
	}
	pid, err := readPid(s.path("pid"))
	if err != nil || !isServer(pid) {
		t.Fatalf("process %d: %v", pid, err)
	}
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if string(name) != "pgpool\n" {
		t.Errorf("the daemon is called %q", name)
	}
	if session, _, _ := syscall.RawSyscall(syscall.SYS_GETSID, uintptr(pid), 0, 0); int(session) != pid {
		t.Errorf("process %[2]d is in session %[1]d, want its own", session, pid)
	}
	for fd, want := range map[int]string{0: os.DevNull, 1: os.DevNull, 2: os.DevNull} {
		if got, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); got != want {
			t.Errorf("descriptor %d is %s", fd, got)
		}
	}
	if cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); cwd != "/" {
		t.Errorf("the daemon's folder is %s", cwd)
	}
	if out, code := s.pgpool("-f", "pgpool.conf"); code != 1 || !strings.Contains(out, fmt.Sprintf("FATAL:  already running with pid %d", pid)) {
		t.Errorf("second start: got status %d, output %s", code, out)
	}
	if out, code := s.pgpool("reload", "-f", "pgpool.conf"); code != 0 {
		t.Errorf("reload: got status %d, output %s", code, out)
	}
	s.await("events", "reload")
	if out, code := s.pgpool("stop", "-m", "fast", "-f", "pgpool.conf"); code != 0 || out != "" {
		t.Errorf("stop: got status %d, output %s", code, out)
	}
	if s.exists("pid") || isServer(pid) || !strings.HasSuffix(s.read("events"), "drain fast\n") {
		t.Errorf("after the stop: the pid file exists: %v; the server runs: %v; events %s", s.exists("pid"), isServer(pid), s.read("events"))
	}
	left, _ := filepath.Glob(s.path("pid*"))
	if len(left) != 0 {
		t.Errorf("files are left over: %v", left)
	}
}

// TestDaemonKeepsItsLogFile checks that a daemon whose stderr is a file goes on logging there.
func TestDaemonKeepsItsLogFile(t *testing.T) {
	s := newSite(t, "")
	cmd := exec.Command(filepath.Join(bin, "pgpool"), "-f", s.path("pgpool.conf"))
	log, err := os.Create(s.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Run(); err != nil {
		t.Fatal(err, s.read("log"))
	}
	if out, code := s.pgpool("-f", "pgpool.conf", "-m", "i", "stop"); code != 0 {
		t.Errorf("stop: got status %d, output %s", code, out)
	}
	for _, want := range []string{"LOG:  ready\n", "LOG:  stopping mode=immediate\n", "LOG:  stopped\n"} {
		s.await("log", want)
	}
}

func TestDaemonThatCannotStart(t *testing.T) {
	for behave, want := range map[string]string{"fail": "FATAL:  listen: address in use\n", "panic": "panic: stub falls over"} {
		s := newSite(t, "")
		s.write("behave", behave)
		out, code := s.pgpool("-f", "pgpool.conf")
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("%s: got status %d, output %s", behave, code, out)
		}
		if behave == "fail" && s.exists("pid") {
			t.Error("the pid file is left over")
		}
	}
	s := newSite(t, "prot = 1\nssl = on\n")
	out, code := s.pgpool("-f", "pgpool.conf")
	want := "pgpool: DIR/pgpool.conf:6: unknown parameter \"prot\"; did you mean \"port\"?\npgpool: DIR/pgpool.conf:7: ssl is on, but ssl_cert or ssl_key is not set\n"
	if code != 1 || out != strings.ReplaceAll(want, "DIR", s.dir) {
		t.Errorf("a bad configuration: got status %d, output %s", code, out)
	}
}
