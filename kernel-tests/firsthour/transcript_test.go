// Package firsthour does what a new user does: it types what the manual and its own transcript say, and checks what is
// printed.
package firsthour

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

var update = flag.Bool("update", false, "write the transcript anew")

// commandLimit is the deadline of one command.
const commandLimit = 2 * time.Minute

// TestTranscript runs the commands of the transcript, and compares what they print with it.
func TestTranscript(t *testing.T) {
	const file = "testdata/transcript.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t, 1)
	head, _, _ := strings.Cut(string(text), "\n$ ")
	got := head + "\n"
	for i, command := range commands(string(text)) {
		if i > 0 {
			got += "\n"
		}
		got += "$ " + strings.ReplaceAll(command, "\n", "\n> ") + "\n" + d.types(command)
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, lines := strings.Split(string(text), "\n"), strings.Split(got, "\n")
	for i := range max(len(want), len(lines)) {
		if i >= len(want) || i >= len(lines) || lines[i] != want[i] {
			near := func(all []string) string {
				return strings.Join(all[min(max(0, i-5), len(all)):min(i+5, len(all))], "\n")
			}
			t.Fatalf("line %d differs:\n%s\n--- want\n%s", i+1, near(lines), near(want))
		}
	}
}

// commands are the commands of a transcript.
func commands(text string) (all []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, command)
		} else if more, ok := strings.CutPrefix(line, "> "); ok && len(all) > 0 {
			all[len(all)-1] += "\n" + more
		}
	}
	return all
}

// desk is a folder in which commands are typed, in front of a primary and its standbys. The first standby is STANDBY in
// the transcript.
type desk struct {
	*testing.T
	herd  *herd.Herd
	dir   string
	env   []string
	words *strings.Replacer // from the transcript's words to the machine's
	plain *strings.Replacer // and the other way
}

func newDesk(t *testing.T, standbys int) *desk {
	servers := herdtest.Start(t, herd.Settings{Standbys: standbys, Config: []string{"full_page_writes = on"}}) // pg_rewind needs those
	nodes := servers.Nodes()
	d := bareDesk(t)
	d.herd = servers
	listen, err := herd.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	d.words = strings.NewReplacer("PRIMARY", fmt.Sprint(nodes[0].Port), "STANDBY", fmt.Sprint(nodes[1].Port), "LISTEN", fmt.Sprint(listen))
	d.plain = strings.NewReplacer(d.dir, "DIR", fmt.Sprint(nodes[0].Port), "PRIMARY", fmt.Sprint(nodes[1].Port), "STANDBY", fmt.Sprint(listen), "LISTEN")
	d.env = append(d.env, "PGHOST=127.0.0.1", fmt.Sprint("PGPORT=", listen), "PGUSER="+herd.User,
		"PGPASSFILE="+filepath.Join(d.dir, "passwords"), "PGDATABASE="+herd.Database, "PSQLRC=/dev/null", "PGCONNECT_TIMEOUT=30")
	d.write("passwords", "*:*:*:alice:alice\n*:*:*:postgres:postgres\n")
	return d
}

// bareDesk is a desk without nodes.
func bareDesk(t *testing.T) *desk {
	program, err := herd.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{T: t, dir: t.TempDir()}
	d.plain = strings.NewReplacer(d.dir, "DIR")
	d.env = append(os.Environ(), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "LC_ALL=C")
	t.Cleanup(func() {
		if log, err := os.ReadFile(filepath.Join(d.dir, "pgherd.log")); t.Failed() {
			t.Logf("pgherd's log (%v):\n%s", err, log)
		}
	})
	t.Cleanup(func() { d.run("[ ! -f pgherd.pid ] || pgherd stop -m immediate -f pgherd.conf") })
	return d
}

// types is what a command prints, with fixed words in the place of what differs each time.
func (d *desk) types(command string) string {
	d.Helper()
	out, status := d.run(d.words.Replace(command))
	out = trailing.ReplaceAllString(d.plain.Replace(steady(out)), "")
	if out != "" && !strings.HasSuffix(out, "\n") {
		out += "\n"
	}
	if status != 0 {
		out += fmt.Sprintf("[%d]\n", status)
	}
	return out
}

var trailing = regexp.MustCompile(`(?m)[ \t]+$`)

// steady puts fixed words in the place of what differs from one run to the next.
func steady(text string) string {
	for _, r := range another {
		text = r.pattern.ReplaceAllString(text, r.word)
	}
	return text
}

// another is what differs from one run to the next.
var another = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?`), "TIME"},
	{regexp.MustCompile(`\bpid \d+`), "pid PID"},
	{regexp.MustCompile(`\b[0-9A-F]+/[0-9A-F]{6,8}\b`), "LSN"},
	{regexp.MustCompile(`seen of the nodes: .*`), "seen of the nodes: ..."},
	{regexp.MustCompile(`session_time=\S+`), "session_time=TIME"},
	{regexp.MustCompile(`\bport=\d+`), "port=PORT"},
	{regexp.MustCompile(`(io_uring|epoll), 1 worker of \d+ cores`), "io_uring, 1 worker of N cores"},
}

// run has the shell run a command.
func (d *desk) run(command string) (out string, status int) {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	var b bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = d.dir, d.env, &b, &b, time.Second
	err := cmd.Run()
	if exit, ended := errors.AsType[*exec.ExitError](err); err != nil && (!ended || ctx.Err() != nil) {
		d.Fatalf("%s: %v\n%s", command, err, &b)
	} else if ended {
		status = exit.ExitCode()
	}
	return b.String(), status
}
