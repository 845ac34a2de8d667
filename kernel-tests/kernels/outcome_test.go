package kernels

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// outcome is what came of one test on one kernel.
type outcome struct {
	action  string // pass, fail or skip
	elapsed time.Duration
	said    string
}

// ran is what a kernel has run of one suite.
type ran struct {
	folder string
	raw    []byte // as test2json reads it
	end    string // ok, or what init says; "": it has not ended
	took   time.Duration
	tests  map[string]outcome
}

// report is what a kernel has run.
type report struct {
	release string
	suites  []*ran
	done    bool
	took    time.Duration
}

// readReport reads what init prints.
func readReport(r io.Reader) (*report, error) {
	all, is := &report{}, (*ran)(nil)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\r"))
		words := strings.Split(string(line), "\t")
		switch {
		case words[0] == "@@kernel" && len(words) == 2:
			all.release = words[1]
		case words[0] == "@@begin" && len(words) == 2:
			is = &ran{folder: words[1]}
			all.suites = append(all.suites, is)
		case words[0] == "@@end" && len(words) == 4 && is != nil:
			milliseconds, _ := strconv.Atoi(words[3])
			is.end, is.took = words[2], time.Duration(milliseconds)*time.Millisecond
			is = nil
		case words[0] == "@@done":
			all.done = true
		case is != nil:
			is.raw = append(append(is.raw, line...), '\n')
		}
	}
	return all, lines.Err()
}

// event is one of test2json's.
type event struct {
	Action, Test, Output string
	Elapsed              float64
}

// read has test2json tell what became of each test.
func (r *ran) read() error {
	c := exec.Command("go", "tool", "test2json", "-t")
	c.Stdin = bytes.NewReader(r.raw)
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("read what %s prints: %w", r.folder, err)
	}
	r.tests = map[string]outcome{}
	events := json.NewDecoder(bytes.NewReader(out))
	for events.More() {
		var e event
		if err := events.Decode(&e); err != nil {
			return fmt.Errorf("read what %s prints: %w", r.folder, err)
		}
		if e.Test == "" {
			continue
		}
		is := r.tests[e.Test]
		switch e.Action {
		case "output":
			is.said += e.Output
		case "pass", "fail", "skip":
			is.action, is.elapsed = e.Action, time.Duration(e.Elapsed*float64(time.Second))
		}
		r.tests[e.Test] = is
	}
	return nil
}

// since is how a test says that it needs a newer kernel, as errors of package bpf do.
var since = regexp.MustCompile(`\(Linux ([0-9.]+)\)`)

// judge says what is wrong with an outcome on a kernel; "": nothing. A test may be skipped only where
// the kernel is older than what the test says it needs.
func judge(release string, o outcome) string {
	switch o.action {
	case "pass":
		return ""
	case "skip":
		needed := since.FindStringSubmatch(o.said)
		if needed == nil {
			return "it is skipped, and does not say which kernel it needs"
		}
		if !older(release, needed[1]) {
			return "it is skipped, though the kernel is no older than " + needed[1]
		}
		return ""
	case "fail":
		return "it fails"
	}
	return "it has not ended"
}

// older compares the first two numbers of versions.
func older(release, than string) bool {
	a, b := numbers(release), numbers(than)
	return slices.Compare(a[:min(2, len(a))], b[:min(2, len(b))]) < 0
}

// wrong is all that is wrong with a report.
func (r *report) wrong() (all []string) {
	if !r.done {
		all = append(all, "it has not run everything")
	}
	for _, s := range r.suites {
		bad := len(all)
		for _, name := range sorted(s.tests) {
			if w := judge(r.release, s.tests[name]); w != "" {
				all = append(all, fmt.Sprintf("%s %s: %s:\n%s", s.folder, name, w, s.tests[name].said))
			}
		}
		if bad == len(all) && (s.end != "ok" || len(s.tests) == 0) {
			all = append(all, fmt.Sprintf("%s: it ended by %q after %d tests:\n%s", s.folder, s.end, len(s.tests), s.raw[max(0, len(s.raw)-2000):]))
		}
	}
	return all
}

func sorted[T any](m map[string]T) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestJudge(t *testing.T) {
	for _, row := range []struct{ release, action, said, want string }{
		{"6.1.0-57-cloud-amd64", "pass", "", ""},
		{"6.1.0-57-cloud-amd64", "fail", "(Linux 6.6)", "it fails"},
		{"6.1.0-57-cloud-amd64", "", "(Linux 6.6)", "it has not ended"},
		{"6.1.0-57-cloud-amd64", "skip", "use tcx (Linux 6.6): the kernel does not support it", ""},
		{"6.12.117+deb12-cloud-amd64", "skip", "use tcx (Linux 6.6): the kernel does not support it", "it is skipped, though the kernel is no older than 6.6"},
		{"6.6.1", "skip", "use tcx (Linux 6.6): the kernel does not support it", "it is skipped, though the kernel is no older than 6.6"},
		{"6.1.0", "skip", "no time", "it is skipped, and does not say which kernel it needs"},
	} {
		if got := judge(row.release, outcome{action: row.action, said: row.said}); got != row.want {
			t.Errorf("%v: %q, want %q", row, got, row.want)
		}
	}
}

const printed = "@@kernel\t6.1.0\r\n@@begin\ta/b\r\n\x16=== RUN   TestX\r\n\x16=== RUN   TestX/tcx\r\n    x.go:1: use tcx (Linux 6.6): no\r\n" +
	"\x16--- SKIP: TestX/tcx (0.50s)\r\n\x16--- PASS: TestX (1.00s)\r\n\x16PASS\r\n\n@@end\ta/b\tok\t1200\r\n"

// TestReports are read as init prints them, and say what is wrong.
func TestReports(t *testing.T) {
	for name, row := range map[string]struct {
		printed string
		want    []string // what is wrong begins so
	}{
		"all is well":        {printed + "@@done\n", nil},
		"it has not ended":   {printed, []string{"it has not run everything"}},
		"a suite is late":    {strings.Replace(printed, "\tok\t", "\tlate\t", 1) + "@@done\n", []string{`a/b: it ended by "late" after 2 tests`}},
		"a test has failed":  {strings.Replace(printed, "PASS: TestX", "FAIL: TestX", 1) + "@@done\n", []string{"a/b TestX: it fails"}},
		"a feature is gone":  {strings.Replace(printed, "6.1.0", "6.12", 1) + "@@done\n", []string{"a/b TestX/tcx: it is skipped, though"}},
		"there are no tests": {"@@kernel\t6.1\n@@begin\ta\n@@end\ta\tok\t1\n@@done\n", []string{`a: it ended by "ok" after 0 tests`}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := readReport(strings.NewReader(row.printed))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range r.suites {
				if err := s.read(); err != nil {
					t.Fatal(err)
				}
			}
			if got := r.wrong(); !slices.EqualFunc(got, row.want, strings.HasPrefix) {
				t.Errorf("wrong: %q, want %q", got, row.want)
			}
		})
	}
}
