package firsthour

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgherd/bench/herd/herdtest"
)

// elsewhere marks a block that a test cannot run, as in ```sh elsewhere, because it does not end or needs another
// machine. elsewhereLimit is the largest number of such blocks.
const (
	elsewhere      = "elsewhere"
	elsewhereLimit = 3
)

// block is a fenced block of a document.
type block struct {
	file, heading string
	line          int
	kind, mark    string // the words after the fence
	text          string
}

// kinds are the kinds of blocks, with the way in which each is tried.
var kinds = map[string]func(*desk, string) error{
	"sh": (*desk).runs, "console": (*desk).prints, "sql": (*desk).asks, "log": (*desk).logged,
	"ini":   func(d *desk, text string) error { return d.loads("pgherd.conf", text) },
	"hba":   func(d *desk, text string) error { return d.loads("pool_hba.conf", text) },
	"ident": func(d *desk, text string) error { return d.loads("ident_file", text) },
}

// TestBlocks tries every block of the README and the manual.
func TestBlocks(t *testing.T) {
	d := servingDesk(t)
	all, away := documented(t), 0
	trouble := sync.OnceFunc(func() { d.refusesBroken(); d.hasTrouble() })
	slices.SortStableFunc(all, func(a, b block) int { return last(a) - last(b) })
	for _, b := range all {
		name := fmt.Sprintf("%s:%d", b.file, b.line)
		switch try, ok := kinds[b.kind]; {
		case b.file == failoverManual && b.mark != elsewhere: // TestFailoverManual tries these
		case !ok || b.mark != "" && b.mark != elsewhere:
			t.Errorf("%s: a block of the kind %q cannot be tried", name, strings.TrimSpace(b.kind+" "+b.mark))
		case b.mark == elsewhere:
			away++
		case b.heading == beginning: // TestReadme tries these
		default:
			if b.kind == "log" {
				trouble()
			}
			if err := try(d, b.text); err != nil {
				t.Errorf("block %s: %v", name, err)
			}
		}
	}
	if len(all) < 10 || away > elsewhereLimit {
		t.Errorf("of %d blocks %d are not run, want %d at most", len(all), away, elsewhereLimit)
	}
}

// refusesBroken tries the blocks that are wrong.
func (d *desk) refusesBroken() {
	for _, broken := range brokenBlocks {
		if err := kinds[broken.kind](d, broken.text); err == nil {
			d.Errorf("the wrong %s block is accepted: %s", broken.kind, broken.text)
		}
	}
}

// last sorts blocks with lines of the log after those that cause these lines.
func last(b block) int { return strings.Count(b.kind, "log") }

// brokenBlocks are wrong. They show that blocks of each kind are really tried.
var brokenBlocks = []struct{ kind, text string }{
	{"sh", "true\nfalse\ntrue\n"},
	{"console", "$ echo one\ntwo\n"},
	{"console", "$ echo one; exit 1\none\n"},
	{"console", "echo one\n"},
	{"sql", "SELECT 1;\nSELECT nosuch;\nSELECT 1;\n"},
	{"sql", "SELECT 1 AS one;\n one\n-----\n 2\n"},
	{"ini", "pool_mode = transaction\nnosuch = 1\n"},
	{"ini", "pool_mode\n"},
	{"hba", "host all all 127.0.0.1/33 trust\n"},
	{"ident", "one two\n"},
	{"log", "2026-02-03 04:05:06.007: main pid 4711: LOG:  never said\n"},
}

// TestNoBlockIsMissed checks that a block without a kind, or one that is only indented, is an error,
// because it would not be tried.
func TestNoBlockIsMissed(t *testing.T) {
	for text, want := range map[string]string{
		"# A\n```sh elsewhere\nx\n```\n": "[{f A 2 sh elsewhere x\n}] <nil>",
		"- a\n\n  ```sql\n  x\n  ```\n":  "[{f  3 sql    x\n}] <nil>",
		"```\nx\n```\n":                  "[{f  1   x\n}] <nil>",
		"```sh\nx\n":                     "[] f:1: the block has no end",
		"a\n\n    x\n":                   "[] f:3: a block without a fence",
		"a\n\n\tx\n":                     "[] f:3: a block without a fence",
		"~~~\nx\n~~~\n":                  "[] f:1: a block without a fence",
		"- a\n    b\n":                   "[] <nil>",
	} {
		if all, err := blocksOf("f", text); fmt.Sprint(all, err) != want {
			t.Errorf("text %q: got %q", text, fmt.Sprint(all, err))
		}
	}
}

// documented are the blocks of the README and of the manual.
func documented(t *testing.T) (all []block) {
	files, err := filepath.Glob("../../docs/manual/*.md")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := blocksOf(strings.TrimPrefix(file, "../../"), string(text))
		if err != nil {
			t.Error(err)
		}
		all = append(all, blocks...)
	}
	return all
}

var unfenced = regexp.MustCompile("^(    |\t|~~~)")

func blocksOf(file, text string) (all []block, err error) {
	heading, before, open := "", "", (*block)(nil)
	for i, line := range strings.Split(text, "\n") {
		words, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		kind, mark, _ := strings.Cut(words, " ")
		switch {
		case open != nil && fence:
			all, open = append(all, *open), nil
		case open != nil:
			open.text += line + "\n"
		case fence:
			open = &block{file: file, heading: heading, line: i + 1, kind: kind, mark: mark}
		case unfenced.MatchString(line) && before == "":
			return all, fmt.Errorf("%s:%d: a block without a fence", file, i+1)
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimLeft(line, "# ")
		}
		before = strings.TrimSpace(line)
	}
	if open != nil {
		err = fmt.Errorf("%s:%d: the block has no end", file, open.line)
	}
	return all, err
}

// TestMakeTargets checks that every target of make that documents name exists.
func TestMakeTargets(t *testing.T) {
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)")
	for _, file := range []string{"README.md", "docs/manual/running.md", "docs/performance.md"} {
		document, err := os.ReadFile("../../" + file)
		found := asked.FindAllStringSubmatch(string(document), -1)
		if err != nil || len(found) == 0 {
			t.Errorf("%s: found %d targets, error %v", file, len(found), err)
		}
		for _, target := range found {
			if !strings.Contains(string(text), "\n"+target[1]+": ") {
				t.Errorf("%s: make %s: the target does not exist", file, target[1])
			}
		}
	}
}

// servingDesk is a desk on which pgherd runs. It knows its nodes, and reads go to the standby.
func servingDesk(t *testing.T) *desk {
	d := newDesk(t, 1)
	d.write("pool_passwd", "alice:TEXTalice\npostgres:TEXTpostgres\n")
	d.write("pgherd.conf", d.words.Replace(minimal+`listen_addresses = '127.0.0.1'
port = LISTEN
pid_file_name = 'pgherd.pid'
backend_hostname0 = '127.0.0.1'
backend_port0 = PRIMARY
backend_weight0 = 0
backend_hostname1 = '127.0.0.1'
backend_port1 = STANDBY
sr_check_user = 'postgres'
sr_check_password = 'postgres'
sr_check_period = 1
catalog_check_period = 1h
admin_users = 'postgres'
`))
	d.env = append(d.env, "PGUSER=postgres")
	if err := os.MkdirAll(filepath.Join(d.dir, "site", "hba.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	d.write("site/pool_hba.conf", "")
	d.write("site/ident_file", "")
	if err := d.runs("pgherd -n=false -f pgherd.conf 2> pgherd.log\npsql -c 'CREATE TABLE notes (note text)'\n"); err != nil {
		t.Fatal(err)
	}
	return d
}

// settles waits until reads go to the standby, which they do not soon after a start, a CREATE TABLE or a CREATE ROLE.
func (d *desk) settles() {
	herdtest.Eventually(d.T, "reads go to the standby", func() error {
		out, _ := d.run("psql -c BEGIN -c 'SELECT * FROM notes' -c 'EXPLAIN ROUTE SELECT 1' -c COMMIT")
		if !strings.Contains(out, "on node 1") {
			return fmt.Errorf("the read returned %s", out)
		}
		return nil
	})
}

// minimal is the part that every configuration needs beside what a document shows.
const minimal = "unix_socket_directories = ''\n"

// runs requires each command to succeed.
func (d *desk) runs(text string) error {
	if out, status := d.run("set -e\n" + text); status != 0 {
		return fmt.Errorf("the commands end with status %d:\n%s", status, out)
	}
	return nil
}

// prints runs the commands after each $, and requires them to print the rest.
func (d *desk) prints(text string) error {
	got := ""
	for _, command := range commands(text) {
		got += "$ " + strings.ReplaceAll(command, "\n", "\n> ") + "\n" + strings.ReplaceAll(d.types(command), "DIR/", "/etc/pgherd/")
	}
	if got != steady(text) {
		return fmt.Errorf("the commands print\n%s", got)
	}
	return nil
}

// asks has psql run the statements through pgherd. What follows the last semicolon must be in the output. A few tries are
// allowed, because a read goes to the primary once, 2 s after a definition, while the catalog is read.
func (d *desk) asks(text string) (err error) {
	end := strings.LastIndex(text, ";") + 1
	end += strings.Index(text[end:], "\n") + 1
	d.write("asked.sql", text[:end])
	for range askTries {
		d.settles()
		out, status := d.run("psql -v ON_ERROR_STOP=1 -f asked.sql")
		if out = trailing.ReplaceAllString(out, ""); status == 0 && strings.Contains(out, text[end:]) {
			return nil
		}
		if err = fmt.Errorf("psql, status %d, prints\n%s", status, out); status != 0 {
			break
		}
	}
	return err
}

// askTries is more than the number of definitions that the blocks make one after the other.
const askTries = 3

// loads has check-config read the text as this file of an otherwise minimal configuration. Files of earlier blocks stay,
// because lines of pool_hba.conf name maps of ident_file.
func (d *desk) loads(file, text string) error {
	d.write("site/pgherd.conf", minimal+"pid_file_name = 'pid'\nbackend_hostname0 = 'localhost'\nenable_pool_hba = on\nident_file = 'ident_file'\n")
	d.write("site/pgpool_node_id", "0\n") // for a block with use_watchdog
	name := filepath.Join("site", file)
	if file != "pgherd.conf" {
		d.write(name, "")
	}
	d.write(name, d.read(name)+text)
	if out, status := d.run("pgherd check-config site/pgherd.conf"); status != 0 || !strings.Contains(out, "pgherd.conf: no errors\n") {
		return fmt.Errorf("check-config, status %d, prints\n%s", status, out)
	}
	return nil
}

// hasTrouble causes the events whose log lines the manual shows.
func (d *desk) hasTrouble() {
	if err := d.runs("psql -c 'PAUSE app'\npsql -d postgres -c 'RESUME app'"); err != nil {
		d.Error(err)
	}
	ctx, cancel := herdtest.Limited(herdtest.SetupLimit)
	defer cancel()
	if _, err := d.herd.ExecOn(ctx, 1, "SELECT pg_promote()"); err != nil {
		d.Error(err)
	}
	herdtest.Eventually(d.T, "two primaries are noticed", func() error { return d.logged("herd: quarantine 1 ") })
}

// logged requires each line to be in the log.
func (d *desk) logged(text string) error {
	log := d.read("pgherd.log")
	for line := range strings.Lines(text) {
		if !strings.Contains(steady(log), steady(line)) {
			return fmt.Errorf("the log has no line %s%s", line, log)
		}
	}
	return nil
}

func (d *desk) write(name, text string) {
	d.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) read(name string) string {
	d.Helper()
	text, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.Fatal(err)
	}
	return string(text)
}
