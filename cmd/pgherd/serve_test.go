package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgherd/proxy/config"
)

func TestSignals(t *testing.T) {
	for sig, want := range map[syscall.Signal]string{syscall.SIGTERM: smart, syscall.SIGINT: fast, syscall.SIGQUIT: immediate} {
		s := newSite(t, "")
		server := s.start()
		s.await("log", "LOG:  ready")
		server.Process.Signal(sig)
		if err := server.Wait(); err != nil {
			t.Errorf("signal %v: got error %v", sig, err)
		}
		if !strings.HasSuffix(s.read("events"), "drain "+want+"\n") || s.exists("pid") {
			t.Errorf("signal %v: got events %s; the pid file exists: %v", sig, s.read("events"), s.exists("pid"))
		}
	}
}

// TestStopGetsMoreUrgent checks that a more urgent stop can follow a smart stop that takes too long.
func TestStopGetsMoreUrgent(t *testing.T) {
	s := newSite(t, "")
	s.write("behave", "stubborn")
	server := s.start()
	s.await("log", "LOG:  ready")
	server.Process.Signal(syscall.SIGTERM)
	s.await("events", "drain smart")
	server.Process.Signal(syscall.SIGINT)
	s.await("events", "drain fast")
	if out, code := s.pgherd("stop", "-f", "pgpool.conf", "-m", "i"); code != 0 {
		t.Errorf("got status %d, output %s", code, out)
	}
}

// TestStopAmongReloads checks that a stop is carried out however many reloads are requested.
func TestStopAmongReloads(t *testing.T) {
	s := newSite(t, "")
	s.write("behave", "slow")
	server := s.start()
	s.await("log", "LOG:  ready")
	for range 20 {
		server.Process.Signal(syscall.SIGHUP)
		time.Sleep(5 * time.Millisecond) // otherwise the kernel delivers several signals as one
	}
	server.Process.Signal(syscall.SIGINT)
	s.await("events", "drain fast")
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
}

func TestStopDuringStart(t *testing.T) {
	s := newSite(t, "")
	s.write("behave", "hang")
	server := s.start()
	s.await("events", "hanging")
	server.Process.Signal(syscall.SIGTERM)
	if err := server.Wait(); err == nil || s.exists("pid") {
		t.Errorf("got error %v; the pid file exists: %v", err, s.exists("pid"))
	}
	if !strings.Contains(s.read("log"), "FATAL:  start called off\n") {
		t.Error("the log is", s.read("log"))
	}
}

// TestReloadDuringStart checks that a reload during the start does nothing, because the start reads the same configuration.
func TestReloadDuringStart(t *testing.T) {
	s := newSite(t, "")
	s.write("behave", "hang")
	server := s.start()
	s.await("events", "hanging")
	server.Process.Signal(syscall.SIGHUP)
	s.write("go", "")
	s.await("log", "LOG:  ready")
}

func TestReload(t *testing.T) {
	s := newSite(t, "")
	server := s.start()
	s.await("log", "LOG:  ready")
	good := s.read("pgpool.conf")

	s.write("pgpool.conf", good+"max_client_conn = 7\nport = 5000\n")
	out, code := s.pgherd("reload", "-f", "pgpool.conf")
	if code != 0 || out != "reloaded: changed max_client_conn\nwarning: not in effect before a restart: port\n" {
		t.Errorf("got status %d, output %s", code, out)
	}
	for _, has := range []bool{ // these are true now, because reload has waited for them
		strings.Contains(s.read("events"), "reload port=9999 clients=7\n"),
		strings.Contains(s.read("log"), "LOG:  configuration reloaded changed=max_client_conn\n"),
		strings.Contains(s.read("log"), "WARNING:  changes that need a restart are not in effect: port\n"),
	} {
		if !has {
			t.Error(s.read("events"), s.read("log"))
		}
	}

	s.write("pgpool.conf", good+"max_client_conn = 0\nprot = 1\n")
	out, code = s.pgherd("reload", "-f", "pgpool.conf")
	if code != 1 || strings.Count(out, "\n") != 2 {
		t.Errorf("got status %d, output %s", code, out)
	}
	server.Process.Signal(syscall.SIGHUP)
	s.await("log", "ERROR:  configuration not reloaded\n")
	s.await("log", `ERROR:  `+s.path("pgpool.conf")+`:7: unknown parameter "prot"`)
	if n := strings.Count(s.read("events"), "reload"); n != 1 {
		t.Errorf("the server was reloaded %d times", n)
	}

	// pgherdctl does the same, as text and as JSON.
	s.write("pgpool.conf", good+"max_client_conn = 7\nport = 5000\n")
	const portWaits = "warning: not in effect before a restart: port"
	if out, code := s.pgherd("ctl", "reload", "-f", "pgpool.conf"); code != 0 || out != "reloaded: nothing has changed\n"+portWaits+"\n" {
		t.Errorf("got status %d, output %s", code, out)
	}
	if out, code := s.pgherd("ctl", "reload", "--json", "-f", "pgpool.conf"); code != 0 || !strings.Contains(out, `"notice": "reloaded: nothing has changed\n`+portWaits+`"`) {
		t.Errorf("got status %d, output %s", code, out)
	}

	// An error that only the running server finds is also part of the answer.
	s.write("pgpool.conf", good)
	s.write("refuse", "read pool_hba.conf: line 3\nread ident_file: line 1")
	out, code = s.pgherd("reload", "-f", "pgpool.conf")
	if code != 1 || out != "pgherd: read pool_hba.conf: line 3\npgherd: read ident_file: line 1\npgherd: the configuration is as it was before\n" {
		t.Errorf("got status %d, output %s", code, out)
	}
	s.write("pgpool.conf", good+"max_client_conn = 0\n")

	// A configuration that has become unusable must not prevent a stop.
	if out, code := s.pgherd("stop", "-f", "pgpool.conf"); code != 0 {
		t.Errorf("got status %d, output %s", code, out)
	}
}

// TestReloadKnowsTheServersFiles checks that a reload that names no files uses those of the server's command line.
func TestReloadKnowsTheServersFiles(t *testing.T) {
	s := newSite(t, "enable_pool_hba = on\n")
	s.write("elsewhere.conf", "local all all trust\n")
	s.start("-a", "elsewhere.conf")
	s.await("log", "LOG:  ready")
	if out, code := s.pgherd("reload", "-f", "pgpool.conf"); code != 0 || out != "reloaded: nothing has changed\n" {
		t.Errorf("got status %d, output %s", code, out)
	}
	s.write("elsewhere.conf", "local all all nonsense\n")
	if out, code := s.pgherd("reload", "-f", "pgpool.conf"); code != 1 || !strings.Contains(out, "nonsense") {
		t.Errorf("got status %d, output %s", code, out)
	}
	if strings.Count(s.read("events"), "reload") != 1 {
		t.Error(s.read("events"))
	}
}

// TestReloadReadsOnce checks that a reload reads the configuration once, so that one that is being changed is either old or
// new for it. The test uses a pipe, which cannot be read twice.
func TestReloadReadsOnce(t *testing.T) {
	s := newSite(t, "")
	s.start()
	s.await("log", "LOG:  ready")
	if err := syscall.Mkfifo(s.path("pipe.conf"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, written := s.read("pgpool.conf"), make(chan error, 1)
	go func() { written <- os.WriteFile(s.path("pipe.conf"), []byte(text), 0) }()
	if out, code := s.pgherd("reload", "-f", "pipe.conf"); code != 0 || out != "reloaded: nothing has changed\n" {
		t.Errorf("got status %d, output %s", code, out)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestReloadChangesTheLog(t *testing.T) {
	s := newSite(t, "log_line_prefix = 'before: '\n")
	server := s.start()
	s.await("log", "before: LOG:  ready")
	s.write("pgpool.conf", s.read("pgpool.conf")+"log_line_prefix = 'after: '")
	server.Process.Signal(syscall.SIGHUP)
	s.await("log", "after: LOG:  configuration reloaded changed=log_line_prefix\n")
}

// TestBrokenLogPipe checks that the server goes on when the reader of its log has gone.
func TestBrokenLogPipe(t *testing.T) {
	s := newSite(t, "")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(bin, "pgherd"), "-f", s.path("pgpool.conf"))
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	for seen := (&bytes.Buffer{}); !strings.Contains(seen.String(), "LOG:  ready"); {
		if _, err := io.CopyN(seen, r, 1); err != nil {
			t.Fatal(err, seen)
		}
	}
	r.Close()
	cmd.Process.Signal(syscall.SIGHUP)
	s.await("events", "reload")
	cmd.Process.Signal(syscall.SIGINT)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestServerThatDoesNotStop checks that a server that does not stop when it must stop at once is not waited for. It ends
// with the process.
func TestServerThatDoesNotStop(t *testing.T) {
	s := newSite(t, "")
	c, _, err := config.Load(s.path("pgpool.conf"), config.CommandLine{})
	if err != nil {
		t.Fatal(err)
	}
	now := make(chan time.Time, 1)
	now <- time.Time{}
	service := &service{options: &options{}, config: c, logger: slog.New(slog.DiscardHandler), abandon: now}
	err = service.run(startStub, func() error { return nil })
	if err == nil || err.Error() != "the server did not stop within 10s" || s.exists("pid") {
		t.Errorf("got error %v; the pid file exists: %v", err, s.exists("pid"))
	}
}

func TestLeftOverPidFiles(t *testing.T) {
	for what, text := range map[string]string{
		"nobody's number":        "2147483647\n",
		"another program's":      fmt.Sprintln(os.Getpid()),
		"init's":                 "1\n",
		"empty":                  "",
		"rubbish":                "pid\n",
		"not a process's number": "-1\n",
	} {
		s := newSite(t, "")
		s.write("pid", text)
		if out, code := s.pgherd("stop", "-f", "pgpool.conf"); code != 1 || !strings.HasPrefix(out, "pgherd: stop: ") {
			t.Errorf("%s: stop: got status %d, output %s", what, code, out)
		}
		if out, code := s.pgpool("-f", "pgpool.conf"); code != 0 {
			t.Errorf("%s: start: got status %d, output %s", what, code, out)
		}
		if out, code := s.pgpool("-f", "pgpool.conf", "stop"); code != 0 {
			t.Errorf("%s: stop: got status %d, output %s", what, code, out)
		}
	}
}

// TestOwnNumberInPidFileIsLeftOver checks a pid file with the process's own number. In a container, the process has the same
// number at each start.
func TestOwnNumberInPidFileIsLeftOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	for range 2 {
		if err := claimPidFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if pid, err := readPid(path); err != nil || pid != os.Getpid() {
		t.Errorf("got process %d, error %v", pid, err)
	}
	dropPidFile(path, os.Getpid()+1)
	if _, err := readPid(path); err != nil {
		t.Error("the pid file of another process was removed")
	}
	dropPidFile(path, os.Getpid())
	if _, err := readPid(path); err == nil {
		t.Error("the pid file is still there")
	}
}

// TestKilledServer checks that after a server was killed, which leaves its pid file, stop says so and the next start works.
func TestKilledServer(t *testing.T) {
	s := newSite(t, "")
	server := s.start()
	s.await("log", "LOG:  ready")
	server.Process.Kill()
	server.Wait()
	if out, code := s.pgherd("stop", "-f", "pgpool.conf"); code != 1 || !strings.Contains(out, "which is left over") {
		t.Errorf("got status %d, output %s", code, out)
	}
	s.start()
	s.await("log", "LOG:  ready")
	if out, code := s.pgherd("stop", "-f", "pgpool.conf"); code != 0 || s.exists("pid") {
		t.Errorf("got status %d, output %s", code, out)
	}
}

func TestPidFolderMissing(t *testing.T) {
	s := newSite(t, "pid_file_name = 'none/pid'\n")
	out, code := s.pgpool("-f", "pgpool.conf")
	if code != 1 || out != "pgpool: "+s.dir+"/pgpool.conf:6: pid_file_name: write to "+s.dir+"/none: no such file or directory; make the folder, or name another file\n" {
		t.Errorf("got status %d, output %s", code, out)
	}
}

// TestUsualPidFile checks that without a pid file in the configuration pgherd uses one that its user can write.
func TestUsualPidFile(t *testing.T) {
	s := newSite(t, "")
	s.write("pgpool.conf", strings.ReplaceAll(s.read("pgpool.conf"), "pid_file_name = pid\n", ""))
	t.Setenv("XDG_RUNTIME_DIR", s.dir)
	want := usualPidFile(9999)
	c, _, err := (&options{config: s.path("pgpool.conf")}).load()
	if err != nil || c.Files.Pid != want || !strings.HasPrefix(want, runFolder) && !strings.HasPrefix(want, pgpoolRunFolder) && filepath.Dir(want) != s.dir {
		t.Errorf("got error %v, pid file %s, want %s", err, c.Files.Pid, want)
	}
	if err := checkPidFolder(c); err != nil {
		t.Error(err)
	}
}
