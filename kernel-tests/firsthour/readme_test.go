package firsthour

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// TestReadme does what README says under "In front of your own PostgreSQL", as whoever runs
// the tests and, if that is root, as somebody who is not: what is printed is a configuration that
// starts. Only the port is another one, so that it is free.
func TestReadme(t *testing.T) {
	ctx, cancel := herdtest.Limited(herdtest.SetupLimit)
	defer cancel()
	lines := readme(t)
	if len(lines) < 4 || !strings.HasPrefix(lines[0], "make build") {
		t.Fatalf("README has other commands now: %q", lines)
	}
	for _, who := range people(t) {
		t.Run(who.name, func(t *testing.T) {
			dir := folder(t, who.cred)
			if _, err := herd.Build(t.Context(), filepath.Join(dir, "bin")); err != nil { // make build
				t.Fatal(err)
			}
			for _, line := range lines[1 : len(lines)-1] {
				if out, err := shell(ctx, dir, who.cred, line).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", line, err, out)
				}
				if strings.Contains(line, "config sample") {
					port, err := herd.FreePort()
					if err != nil {
						t.Fatal(err)
					}
					appendLine(t, filepath.Join(dir, "pgpool.conf"), fmt.Sprintf("port = %d\n", port))
				}
			}
			starts(t, ctx, dir, who.cred, lines[len(lines)-1])
		})
	}
}

// starts runs the last command, which stays in the foreground, until a reload has an answer.
func starts(t *testing.T, ctx context.Context, dir string, cred *syscall.Credential, line string) {
	server := shell(ctx, dir, cred, "exec "+line+" 2> log")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	herdtest.Eventually(t, "it starts", func() error {
		select {
		case err := <-ended:
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("%s: %v\n%s", line, err, log)
		default:
		}
		out, err := shell(ctx, dir, cred, "bin/pgherd reload -f pgpool.conf").CombinedOutput()
		if err == nil && !strings.HasPrefix(string(out), "reloaded: ") {
			err = fmt.Errorf("it says %q", out)
		}
		return err
	})
	if out, err := shell(ctx, dir, cred, "bin/pgherd stop -m fast -f pgpool.conf").CombinedOutput(); err != nil {
		t.Errorf("stop: %v\n%s", err, out)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// beginning is README's heading of how to begin.
const beginning = "In front of your own PostgreSQL"

// readme is the block of commands, without what is said of them.
func readme(t *testing.T) (lines []string) {
	for _, b := range documented(t) {
		if b.heading != beginning || b.kind != "sh" {
			continue
		}
		for line := range strings.Lines(b.text) {
			command, _, _ := strings.Cut(line, "  #")
			lines = append(lines, strings.TrimSpace(command))
		}
	}
	return lines
}

// person is who types.
type person struct {
	name string
	cred *syscall.Credential // nil: whoever runs the tests
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

// folder is one that this person owns, and may get to.
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

func appendLine(t *testing.T, file, line string) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(line); err != nil {
		t.Fatal(err)
	}
}
