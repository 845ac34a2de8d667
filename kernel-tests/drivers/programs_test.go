package drivers

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgherd/bench/herd"
)

// runPsql compares each of psql's two outputs with that without pgherd. The order between the outputs is not
// defined, and texts of psql and the server differ between releases.
func runPsql(t *testing.T, to target) {
	scripts, err := filepath.Glob("testdata/*.sql")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("find psql's scripts: got %d, error %v", len(scripts), err)
	}
	pid := regexp.MustCompile(`PID \d+`)
	for _, path := range scripts {
		t.Run(filepath.Base(path), func(t *testing.T) {
			stdout, stderr, err := program(t, to, path, t.TempDir(), "psql", "-X", "-q")
			if err != nil || stdout == "" {
				t.Errorf("psql: error %v, with %d bytes of output: %s", err, len(stdout), stderr)
			}
			to.alike(t, pid.ReplaceAllString("-- stdout\n"+stdout+"-- stderr\n"+stderr, "PID masked"))
		})
	}
}

// firstLine is the first line in which two texts differ.
func firstLine(want, got string) string {
	wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(wants), len(gots)) {
		if wants[i] != gots[i] {
			return fmt.Sprintf("line %d\nwant %q\ngot  %q", i+1, wants[i], gots[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d; all that came:\n%s", len(gots), len(wants), got)
}

// runPgbench moves money in every protocol mode, and then compares the sums.
func runPgbench(t *testing.T, to target) {
	if out, stderr, err := program(t, to, "", "", "pgbench", "-i", "-q", "-s", "1"); err != nil {
		t.Fatalf("%v\n%s%s", err, out, stderr)
	}
	moved := 0
	for _, run := range []struct {
		args    string
		clients int
		each    int
		writes  bool
	}{
		{"-M simple", 4, 50, true},
		{"-M extended", 4, 50, true},
		{"-M prepared", 4, 50, true},
		{"-M prepared -S", 4, 200, false},
		{"-M simple -C", 2, 20, true},
		{"-M prepared -C", 2, 20, true},
	} {
		args := append(strings.Fields(run.args), "-n", "-c", fmt.Sprint(run.clients), "-j", "2", "-t", fmt.Sprint(run.each))
		stdout, stderr, err := program(t, to, "", "", "pgbench", args...)
		done := fmt.Sprintf("actually processed: %d/%d\n", run.clients*run.each, run.clients*run.each)
		if err != nil || !strings.Contains(stdout, done) || !strings.Contains(stdout, "failed transactions: 0 ") {
			t.Errorf("pgbench %s: %v\n%s%s", run.args, err, stdout, stderr)
		}
		if run.writes {
			moved += run.clients * run.each
		}
	}
	got, err := to.herd.Exec(t.Context(), `SELECT count(*), sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts),
		sum(delta) = (SELECT sum(tbalance) FROM pgbench_tellers), sum(delta) = (SELECT sum(bbalance) FROM pgbench_branches) FROM pgbench_history`)
	if want := fmt.Sprintf("%d|t|t|t", moved); err != nil || got != want {
		t.Errorf("the sums are %q, error %v; want %q", got, err, want)
	}
}

func runPsycopg(t *testing.T, to target) {
	for name, checks := range map[string]int{"check.py": 12, "ended.py": 15} {
		t.Run(name, func(t *testing.T) {
			to.alike(t, script(t, to, checks, "", "/usr/bin/python3", "-B", "python/"+name))
		})
	}
}

// runNode installs the pinned package into a folder of the test's.
func runNode(t *testing.T, to target) {
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "check.js"} {
		text, err := os.ReadFile(filepath.Join("node", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, stderr, err := program(t, to, "", dir, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
	if err != nil {
		t.Fatalf("npm ci: %v\n%s%s", err, out, stderr)
	}
	script(t, to, 10, dir, "node", "check.js")
}

func runJDBC(t *testing.T, to target) {
	const driver = "/usr/share/java/postgresql.jar"
	if _, err := os.Stat(driver); err != nil {
		t.Fatalf("%v: make test installs it", err)
	}
	script(t, to, 12, t.TempDir(), "java", "-cp", driver, absolute(t, "java/Check.java"))
}

func runPerl(t *testing.T, to target) {
	to.alike(t, script(t, to, 12, t.TempDir(), "perl", absolute(t, "perl/check.pl")))
}

// runDjango tests a project as its author would: with a test database that is made, kept and used again, and
// then made again and copied for each of two processes.
func runDjango(t *testing.T, to target) {
	if _, err := to.herd.Exec(t.Context(), "ALTER ROLE "+herd.User+" CREATEDB"); err != nil {
		t.Fatal(err)
	}
	var saw []string
	for _, run := range []struct {
		args  string
		tests int
	}{
		{"--keepdb shop.tests.Migrated shop.tests.Rolled", 9},
		{"--keepdb", 12},
		{"--noinput --parallel 2", 12},
	} {
		args := append([]string{"-B", absolute(t, "django/manage.py"), "test", "-v", "2"}, strings.Fields(run.args)...)
		stdout, stderr, err := program(t, to, "", absolute(t, "django"), "/usr/bin/python3", args...)
		if err != nil {
			t.Fatalf("django test %s: error %v\n%s%s", run.args, err, stdout, stderr)
		}
		lines := djangoLines.FindAllString(stdout+stderr, -1)
		slices.Sort(lines) // the lines of two processes come in any order
		saw = append(append(saw, run.args), lines...)
		if passed := strings.Count(stdout+stderr, " ... ok\n"); passed != run.tests {
			t.Errorf("django test %s: %d tests passed, want %d:\n%s%s", run.args, passed, run.tests, stdout, stderr)
		}
	}
	to.alike(t, strings.Join(saw, "\n"))
	if left, err := to.herd.Exec(t.Context(), "SELECT count(*) FROM pg_database WHERE datname LIKE 'test\\_django%'"); err != nil || left != "0" {
		t.Errorf("%s test databases are left, error %v", left, err)
	}
}

// djangoLines are the lines about databases, and about how each test ended.
var djangoLines = regexp.MustCompile(`(?m)^(?: *Applying|test_|Creating|Using|Cloning|Destroying|Got).*$`)
