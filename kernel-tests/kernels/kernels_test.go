// Package kernels runs tests on other kernels than that of this machine: QEMU boots each of
// kernels.txt with a root file system of static test programs. A test that is skipped where the
// kernel has what it needs is a failure.
package kernels

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

var chosen = flag.String("kernels", "", "run the tests on these kernels of kernels.txt, by their names and with commas between; all: on each")

// TestKernels runs the suites on each kernel that is asked for, and prints a table.
func TestKernels(t *testing.T) {
	all := asked(t)
	if len(all) == 0 {
		t.Skip("it takes minutes: make test-kernel, or -kernels=6.1,6.12,running")
	}
	programs := build(t)
	var reports []*report
	for _, k := range all {
		t.Run(k.name, func(t *testing.T) {
			r := k.run(t, programs)
			reports = append(reports, r)
			for _, w := range r.wrong() {
				t.Errorf("Linux %s: %s", r.release, w)
			}
		})
	}
	t.Logf("\n%s", table(reports))
}

// asked are the kernels that the flag names.
func asked(t *testing.T) []kernel {
	t.Helper()
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	all, err := readKernels(string(text))
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(*chosen, ",")
	return slices.DeleteFunc(all, func(k kernel) bool { return *chosen != "all" && !slices.Contains(names, k.name) })
}

func (k kernel) run(t *testing.T, programs built) *report {
	t.Helper()
	began := time.Now()
	r := &report{}
	if k.pattern == running {
		r = programs.runHere(t)
	} else {
		r = programs.runOn(t, k.unpacked(t))
	}
	r.took = time.Since(began)
	for _, s := range r.suites {
		if err := s.read(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// initramfs is the root file system for a kernel that has been unpacked.
func (b built) initramfs(t *testing.T, root string, plan []suite) []byte {
	t.Helper()
	a := newArchive()
	m, err := findModules(root)
	if err == nil {
		err = m.addTo(a)
	}
	if err == nil {
		err = b.addTo(a, plan)
	}
	if err != nil {
		t.Fatalf("make initramfs: %v", err)
	}
	return a.end()
}

func (b built) runOn(t *testing.T, root string) *report {
	t.Helper()
	m := boot(t, root, b.initramfs(t, root, suites))
	r, err := readReport(m.output)
	if err != nil {
		t.Fatalf("read what is printed: %v", err)
	}
	if !r.done {
		t.Logf("the kernel's last words: %s", m.last())
	}
	return r
}

// runHere runs the suites on the kernel of this machine.
func (b built) runHere(t *testing.T) *report {
	t.Helper()
	var is unix.Utsname
	if err := unix.Uname(&is); err != nil {
		t.Fatal(err)
	}
	r := &report{release: unix.ByteSliceToString(is.Release[:]), done: true}
	for _, s := range suites {
		r.suites = append(r.suites, s.runHere(t, b.tests[s.folder]))
	}
	return r
}

func (s suite) runHere(t *testing.T, test string) *ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), machineTime)
	defer cancel()
	began, words := time.Now(), s.program(test)
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Dir = filepath.Join(module, s.folder)
	out, err := c.CombinedOutput()
	is := &ran{folder: s.folder, raw: out, end: "ok", took: time.Since(began)}
	if err != nil {
		is.end = err.Error()
	}
	return is
}

// table has a line for each suite and each of its tests, and a column for each kernel.
func table(reports []*report) string {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	line := func(first string, cell func(*report) string) {
		fmt.Fprint(w, first)
		for _, r := range reports {
			fmt.Fprint(w, "\t", cell(r))
		}
		fmt.Fprintln(w)
	}
	line("", func(r *report) string { return "Linux " + r.release })
	for _, s := range suites {
		line(s.folder, func(r *report) string { return seconds(cmp.Or(r.suite(s.folder), &ran{}).took) })
		for _, name := range testsOf(reports, s.folder) {
			line("  "+name, func(r *report) string { return r.cell(s.folder, name) })
		}
	}
	line("before them: fetch, boot", func(r *report) string { return seconds(r.took - r.inSuites()) })
	line("in all", func(r *report) string { return seconds(r.took) })
	_ = w.Flush() // into memory
	return out.String() + skipped(reports)
}

func (r *report) inSuites() (d time.Duration) {
	for _, s := range r.suites {
		d += s.took
	}
	return d
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func (r *report) suite(folder string) *ran {
	for _, s := range r.suites {
		if s.folder == folder {
			return s
		}
	}
	return nil
}

// testsOf are the names of tests in any report, without those inside of others.
func testsOf(reports []*report, folder string) []string {
	all := map[string]bool{}
	for _, r := range reports {
		if s := r.suite(folder); s != nil {
			for name := range s.tests {
				all[name] = true
			}
		}
	}
	return slices.DeleteFunc(sorted(all), func(name string) bool { return strings.Contains(name, "/") })
}

func (r *report) cell(folder, name string) string {
	s := r.suite(folder)
	if s == nil {
		return "-"
	}
	o, ok := s.tests[name]
	switch {
	case !ok:
		return "-"
	case o.action == "pass":
		return seconds(s.longest(name))
	}
	return cmp.Or(o.action, "not ended")
}

// longest is the time of a test, or of the longest of those inside of it, which run beside one another.
func (r *ran) longest(name string) (d time.Duration) {
	for other, o := range r.tests {
		if other == name || strings.HasPrefix(other, name+"/") {
			d = max(d, o.elapsed)
		}
	}
	return d
}

// skipped tells of what was skipped, and why.
func skipped(reports []*report) string {
	var out strings.Builder
	for _, r := range reports {
		because := map[string][]string{}
		for _, s := range r.suites {
			for _, name := range sorted(s.tests) {
				if o := s.tests[name]; o.action == "skip" {
					why := reason(o.said)
					because[why] = append(because[why], s.folder+" "+name)
				}
			}
		}
		for _, why := range sorted(because) {
			fmt.Fprintf(&out, "Linux %s, skipped because of %s:\n  %s\n", r.release, why, strings.Join(because[why], "\n  "))
		}
	}
	return out.String()
}

// reason is what a test that is skipped says, without where in the code that is.
func reason(said string) string {
	for line := range strings.Lines(said) {
		if since.MatchString(line) {
			_, text, _ := strings.Cut(line, ": ")
			return strings.TrimSpace(text)
		}
	}
	return strings.TrimSpace(said)
}
