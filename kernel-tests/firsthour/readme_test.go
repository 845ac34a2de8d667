package firsthour

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// aloneVariable is set for a test that runs in a network namespace of its own, which has only lo.
const aloneVariable = "PGHERD_TEST_ALONE"

// aloneLimit is the deadline of that test, which builds pgherd (and the C code if it is not in the cache), starts a herd,
// and does what the README says.
const aloneLimit = 20 * time.Minute

// TestReadme does what the README says under "In front of your own PostgreSQL", word by word and without a network, as
// the user who runs the tests and, if that is root, as another user as well. Only the port differs, so that it is free,
// and the nodes are those of a herd.
func TestReadme(t *testing.T) {
	if os.Getenv(aloneVariable) == "" {
		runsAlone(t)
		return
	}
	raiseLoopback(t)
	ctx, cancel := herdtest.Limited(aloneLimit)
	defer cancel()
	lines, least := readme(t)
	if len(lines) < 4 || lines[0] != "make build" || !strings.Contains(least, "backend_hostname1") {
		t.Fatalf("the README has changed: its commands are %q, its configuration %s", lines, least)
	}
	build := exec.CommandContext(ctx, "/bin/sh", "-c", lines[0])
	build.Dir = "../.."
	mustRun(t, build)
	servers := herdtest.Start(t, herd.Settings{Standbys: 1})
	if _, err := servers.Exec(ctx, "CREATE ROLE pgherd LOGIN PASSWORD '...'"); err != nil {
		t.Fatal(err)
	}
	for _, who := range people(t) {
		t.Run(who.name, func(t *testing.T) {
			dir := folder(t, who.cred)
			mustRun(t, shell(ctx, "../..", nil, "cp -P bin/pgherd bin/pgpool "+dir+"/bin"))
			port, err := herd.FreePort()
			if err != nil {
				t.Fatal(err)
			}
			conf, last := filepath.Join(dir, "pgpool.conf"), len(lines)-1
			for _, line := range lines[1:last] {
				mustRun(t, shell(ctx, dir, who.cred, line))
				if strings.Contains(line, "config sample") {
					appendText(t, conf, fmt.Sprintf("port = %d\n", port))
				}
			}
			starts(t, ctx, dir, who.cred, lines[last], nil)
			appendText(t, conf, hosts(servers).Replace(least))
			appendText(t, filepath.Join(dir, "pool_passwd"), "alice:TEXTalice\n")
			starts(t, ctx, dir, who.cred, lines[last], func() {
				for _, question := range questions(t) {
					ask := shell(ctx, dir, who.cred, fmt.Sprintf("psql -w -v ON_ERROR_STOP=1 -c '%s'", strings.ReplaceAll(question, "'", `'\''`)))
					ask.Env = append(ask.Env, "PGHOST=127.0.0.1", fmt.Sprint("PGPORT=", port), "PGUSER=alice", "PGPASSWORD=alice", "PGDATABASE="+herd.Database)
					mustRun(t, ask)
				}
			})
		})
	}
}

// runsAlone runs the test again in an empty network namespace. A user other than root may make one inside a user
// namespace.
func runsAlone(t *testing.T) {
	ctx, cancel := herdtest.Limited(aloneLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), aloneVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid, gid := os.Geteuid(), os.Getegid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+"/") {
		t.Errorf("the test without a network: %v\n%s", err, out)
	}
}

// raiseLoopback sets lo up, and checks that there is no other interface.
func raiseLoopback(t *testing.T) {
	all, err := net.Interfaces()
	if err != nil || len(all) != 1 || all[0].Name != "lo" {
		t.Fatalf("the network namespace is not empty: %v, %v", all, err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
}

// starts runs the last command, which stays in the foreground. Once a reload is answered, it calls meanwhile, unless that
// is nil, and then stops the server.
func starts(t *testing.T, ctx context.Context, dir string, cred *syscall.Credential, line string, meanwhile func()) {
	server := shell(ctx, dir, cred, "exec "+line+" 2> log")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	herdtest.Eventually(t, "pgherd starts", func() error {
		select {
		case err := <-ended:
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("%s: %v\n%s", line, err, log)
		default:
		}
		out, err := shell(ctx, dir, cred, "bin/pgherd reload -f pgpool.conf").CombinedOutput()
		if err == nil && !strings.HasPrefix(string(out), "reloaded: ") {
			err = fmt.Errorf("the reload prints %q", out)
		}
		return err
	})
	if meanwhile != nil {
		meanwhile()
	}
	if out, err := shell(ctx, dir, cred, "bin/pgherd stop -m fast -f pgpool.conf").CombinedOutput(); err != nil {
		t.Errorf("stop: %v\n%s", err, out)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// beginning is the heading under which the README says how to begin.
const beginning = "In front of your own PostgreSQL"

// readme returns the block of commands, without their comments, and the smallest configuration.
func readme(t *testing.T) (lines []string, least string) {
	for _, b := range documented(t) {
		switch {
		case b.heading != beginning:
		case b.kind == "ini":
			least = b.text
		case b.kind == "sh":
			for line := range strings.Lines(b.text) {
				command, _, _ := strings.Cut(line, "  #")
				lines = append(lines, strings.TrimSpace(command))
			}
		}
	}
	return lines, least
}

// hosts replaces the README's nodes by the herd's.
func hosts(servers *herd.Herd) *strings.Replacer {
	var words []string
	for i, n := range servers.Nodes() {
		words = append(words, fmt.Sprintf("'db%d.example.com'", i+1), fmt.Sprintf("'%s'\nbackend_port%d = %d", n.Host, i, n.Port))
	}
	return strings.NewReplacer(words...)
}

// questions are the commands that the README's table lists for psql, with a statement and a parameter filled in.
func questions(t *testing.T) (all []string) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("\nWith psql, on the same port"))
	text, _, _ = bytes.Cut(text, []byte("\n## "))
	for _, row := range regexp.MustCompile("(?m)^\\| `.*?` \\|").FindAll(text, -1) {
		for _, question := range regexp.MustCompile("`(.*?)`").FindAllSubmatch(row, -1) {
			all = append(all, strings.NewReplacer("statement", "SELECT 1", "SHOW name", "SHOW port").Replace(string(question[1])))
		}
	}
	if len(all) < 15 {
		t.Fatalf("the README lists only the commands %q", all)
	}
	return all
}

func mustRun(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("ERROR:")) {
		t.Fatalf("%s: %v\n%s", cmd.Args[2], err, out)
	}
}

// person is the user who runs the commands.
type person struct {
	name string
	cred *syscall.Credential // nil for the user who runs the tests
}

func people(t *testing.T) []person {
	cred, err := herd.Unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	if cred == nil {
		return []person{{"as this user", nil}}
	}
	return []person{{"root", nil}, {"not root", cred}}
}

// folder makes a folder that this person owns and can reach.
func folder(t *testing.T, cred *syscall.Credential) string {
	dir, err := os.MkdirTemp("", "readme-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if cred != nil {
		if err := os.Chown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func shell(ctx context.Context, dir string, cred *syscall.Credential, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR=")
	return cmd
}

func appendText(t *testing.T, file, text string) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
