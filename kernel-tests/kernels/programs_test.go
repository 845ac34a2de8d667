package kernels

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// suite is a package's tests, or some of them.
type suite struct {
	folder    string // of the package
	arguments []string
}

// suites need no cgo, so that they are static, and no PostgreSQL.
var suites = []suite{
	{"proxy/ring", nil},
	{"bpf", nil},
	{"vip/lease", []string{"-sim.seeds=300", "-test.skip=BrokenOnPurpose$|PlacesToBreak$|ContractIsNeeded$"}}, // which tests tests
	{"vip/address", nil},
	{"kernel-tests/kernels/inside", nil},
	{"kernel-tests/observe", []string{"-observe.postgres=false", "-test.run=^(TestCounts|TestSilence|TestLeftoversAreRemoved)$"}},
	// Measured checks nothing. Elections with a time limit of 150 ms find no rest on an emulated processor: the holder changes
	// several times, and HolderEnds takes each host to hold the address once.
	{"kernel-tests/lab", []string{"-test.skip=Measured$|HolderEnds$"}},
}

// tools are programs of this machine's that suites start.
var tools = []string{"ip", "tc", "setpriv", "findmnt"}

const (
	markers   = "-test.v=test2json"
	buildTime = 10 * time.Minute
	module    = "../.."
)

// built are the programs as files: a test of each suite, by its folder, and init.
type built struct {
	init  string
	tests map[string]string
}

func build(t *testing.T) built {
	t.Helper()
	b := built{filepath.Join(t.TempDir(), "init"), map[string]string{}}
	compile(t, "build", "-o", b.init, "./kernel-tests/kernels/init")
	for _, s := range suites {
		b.tests[s.folder] = filepath.Join(t.TempDir(), "test")
		compile(t, "test", "-c", "-o", b.tests[s.folder], "./"+s.folder)
	}
	return b
}

func compile(t *testing.T, verb string, arguments ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildTime)
	defer cancel()
	c := exec.CommandContext(ctx, "go", append([]string{verb, "-ldflags=-s -w"}, arguments...)...)
	c.Dir, c.Env = module, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go %s %v: %v: %s", verb, arguments, err, out)
	}
}

// program is what is started of a suite, where its test is this file.
func (s suite) program(test string) []string {
	return append([]string{test, markers, "-test.timeout=7m"}, s.arguments...)
}

// addTo puts the programs into an archive, and what init starts of them.
func (b built) addTo(a *archive, plan []suite) error {
	if err := a.copyFile("init", b.init); err != nil {
		return err
	}
	var lines strings.Builder
	for _, s := range plan {
		test := "/tests/" + s.folder + "/program"
		if err := a.copyFile(test, b.tests[s.folder]); err != nil {
			return err
		}
		fmt.Fprintln(&lines, strings.Join(append([]string{s.folder, filepath.Dir(test)}, s.program(test)...), "\t"))
	}
	a.file("plan", []byte(lines.String()))
	return addTools(a)
}

// addTools puts programs of this machine's into an archive, with their libraries.
func addTools(a *archive) error {
	libraries := map[string]bool{}
	for _, name := range tools {
		path, err := exec.LookPath(name)
		if err != nil {
			return fmt.Errorf("find program %s: %w", name, err)
		}
		if err := a.copyFile("usr/bin/"+name, path); err != nil {
			return err
		}
		if err := needs(path, libraries); err != nil {
			return err
		}
	}
	for path := range libraries {
		if err := a.copyFile(path, path); err != nil {
			return err
		}
	}
	return nil
}

// needs adds the libraries of a program as the dynamic linker, which is one of them, finds them.
func needs(path string, all map[string]bool) error {
	program, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("read program %s: %w", path, err)
	}
	defer program.Close()
	section := program.Section(".interp")
	if section == nil {
		return nil // it is static
	}
	name, err := section.Data()
	if err != nil {
		return fmt.Errorf("read program %s: %w", path, err)
	}
	linker := string(bytes.TrimRight(name, "\x00"))
	all[linker] = true
	listed, err := exec.Command(linker, "--list", path).Output()
	if err != nil {
		return fmt.Errorf("list libraries of %s: %w", path, err)
	}
	for line := range strings.Lines(string(listed)) {
		if _, target, found := strings.Cut(line, "=> "); found {
			file, _, _ := strings.Cut(target, " (")
			all[file] = true
		}
	}
	return nil
}
