package kernels

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// kernel is a line of kernels.txt.
type kernel struct {
	name    string
	pattern string // of packages
}

const (
	list    = "kernels.txt"
	running = "-" // in the place of a pattern
	// fetchTime is for what apt and dpkg do.
	fetchTime = 5 * time.Minute
)

func readKernels(text string) (all []kernel, err error) {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if len(words) != 2 {
			return nil, fmt.Errorf("read %s: %q has not two words", list, lines.Text())
		}
		all = append(all, kernel{words[0], words[1]})
	}
	return all, lines.Err()
}

// command runs a program, and returns what it prints.
func command(t *testing.T, folder, name string, arguments ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fetchTime)
	defer cancel()
	c := exec.CommandContext(ctx, name, arguments...)
	c.Dir = folder
	out, err := c.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(arguments, " "), err, exit.Stderr)
	}
	return string(out), err
}

// unpacked is the folder with the newest package of a kernel. What is there already is not fetched again.
func (k kernel) unpacked(t *testing.T) string {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Fatalf("the kernels of %s are for amd64, and this is %s: take -kernels=running", list, runtime.GOARCH)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "pgherd", "kernels")
	folder, err := k.get(t, cache)
	if err != nil { // an old list of packages names some that are gone
		t.Logf("%v; once more after apt-get update", err)
		if _, err = command(t, "", "apt-get", "update", "-qq"); err == nil {
			folder, err = k.get(t, cache)
		}
	}
	if err != nil {
		t.Fatalf("get kernel %s: %v", k.name, err)
	}
	return folder
}

func (k kernel) get(t *testing.T, cache string) (string, error) {
	name, err := k.newest(t)
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, name), fetch(t, cache, name)
}

func (k kernel) newest(t *testing.T) (string, error) {
	found, err := command(t, "", "apt-cache", "search", "--names-only", k.pattern)
	if err != nil {
		return "", err
	}
	pattern, err := regexp.Compile(k.pattern)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", list, err)
	}
	return newest(found, pattern)
}

// newest is the package with the highest numbers in its name. Each line begins with the name of one.
func newest(found string, pattern *regexp.Regexp) (name string, err error) {
	for line := range strings.Lines(found) {
		other, _, _ := strings.Cut(line, " ")
		if pattern.MatchString(other) && (name == "" || slices.Compare(numbers(other), numbers(name)) > 0) {
			name = other
		}
	}
	if name == "" {
		return "", fmt.Errorf("find package %s: apt has none (6.1 and 6.12 are both in the archive of bookworm-security)", pattern)
	}
	return name, nil
}

var number = regexp.MustCompile(`[0-9]+`)

func numbers(name string) (all []int) {
	for _, digits := range number.FindAllString(name, -1) {
		n, _ := strconv.Atoi(digits)
		all = append(all, n)
	}
	return all
}

// fetch unpacks a package beside the others, and gives the folder its name once it is whole.
func fetch(t *testing.T, cache, name string) error {
	whole := filepath.Join(cache, name)
	if _, err := os.Stat(whole); err == nil {
		return nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("make cache: %w", err)
	}
	work, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return fmt.Errorf("make cache: %w", err)
	}
	defer os.RemoveAll(work)
	if _, err := command(t, work, "apt-get", "download", "-qq", name); err != nil {
		return err
	}
	files, _ := filepath.Glob(filepath.Join(work, "*.deb")) // no error: the pattern is right
	if len(files) != 1 {
		return fmt.Errorf("download %s: there are %d packages", name, len(files))
	}
	parts := filepath.Join(work, "parts")
	if _, err := command(t, work, "dpkg-deb", "-x", files[0], parts); err != nil {
		return err
	}
	return os.Rename(parts, whole)
}

func TestNewestPackage(t *testing.T) {
	const found = "linux-image-6.1.0-9-cloud-amd64 - Linux\nlinux-image-6.1.0-57-cloud-amd64 - Linux\n" +
		"linux-image-6.1.0-58-cloud-amd64-unsigned - Linux\nlinux-image-6.12.9+deb12-cloud-amd64 - Linux\n" +
		"linux-image-6.12.117+deb12-cloud-amd64 - Linux\nlinux-image-6.12-cloud-amd64 - meta\n"
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	all, err := readKernels(string(text))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"6.1": "linux-image-6.1.0-57-cloud-amd64", "6.12": "linux-image-6.12.117+deb12-cloud-amd64"}
	for _, k := range all {
		if k.pattern == running {
			continue
		}
		if got, err := newest(found, regexp.MustCompile(k.pattern)); got != want[k.name] || err != nil {
			t.Errorf("%s: %s, %v, want %s", k.name, got, err, want[k.name])
		}
		if got, err := newest("linux-image-amd64 - Linux\n", regexp.MustCompile(k.pattern)); err == nil {
			t.Errorf("%s: %s is taken", k.name, got)
		}
	}
}

func TestKernelsAreRead(t *testing.T) {
	got, err := readKernels("# a remark\n\n6.1 ^x$\nrunning  -\n")
	if want := []kernel{{"6.1", "^x$"}, {"running", running}}; !slices.Equal(got, want) || err != nil {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := readKernels("6.1 two words\n"); err == nil {
		t.Errorf("three words are read as %v", got)
	}
}
