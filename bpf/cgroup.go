package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Cgroup is a cgroup of our own, with this process in it. Sockets belong to the cgroup in which
// their process was when it made them, so it is joined before the first socket is.
type Cgroup struct {
	Path   string
	ID     uint64 // as the kernel tells it of sockets
	parent string
}

const (
	cgroupFeature = "cgroup2"
	cgroupSince   = "4.10" // its programs
	members       = "cgroup.procs"
	itself        = "0" // stands for the process that writes it
	// joinTries is how often a cgroup is made anew that somebody has taken for a leftover.
	joinTries = 10
)

// Join makes a cgroup with this name beneath that of this process, and puts the process into it.
// The number of the process is made part of the name. A cgroup that a former process has left
// behind is removed.
func Join(name string) (*Cgroup, error) {
	parent, err := own()
	if err != nil {
		return nil, &Unavailable{cgroupFeature, cgroupSince, err}
	}
	removeLeftovers(parent, name)
	c := &Cgroup{Path: filepath.Join(parent, name+"."+strconv.Itoa(os.Getpid())), parent: parent}
	for range joinTries {
		if err = c.join(); err == nil || !gone(err) {
			break
		}
	}
	if err != nil {
		_ = os.Remove(c.Path)
		return nil, &Unavailable{cgroupFeature, cgroupSince, err}
	}
	return c, nil
}

// gone says that a cgroup is not there any more.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) }

func (c *Cgroup) join() error {
	if err := os.Mkdir(c.Path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a cgroup: %w", err)
	}
	var is unix.Stat_t
	if err := unix.Stat(c.Path, &is); err != nil {
		return fmt.Errorf("look at a cgroup: %w", err)
	}
	c.ID = is.Ino
	if err := enter(c.Path); err != nil {
		return fmt.Errorf("join a cgroup: %w", err)
	}
	return nil
}

func enter(path string) error { return os.WriteFile(filepath.Join(path, members), []byte(itself), 0) }

// Leave takes the process back to where it was, and removes the cgroup. While a child of the
// process is still in it, it stays, and the next Join removes it. It may be called twice.
func (c *Cgroup) Leave() error {
	if err := enter(c.parent); err != nil {
		return fmt.Errorf("leave cgroup: %w", err)
	}
	if err := os.Remove(c.Path); err != nil && !errors.Is(err, unix.EBUSY) && !gone(err) {
		return fmt.Errorf("remove cgroup: %w", err)
	}
	return nil
}

// removeLeftovers removes cgroups with this name that have no process in them, and those inside of
// them; the kernel keeps the others.
func removeLeftovers(parent, name string) {
	all, _ := filepath.Glob(filepath.Join(parent, name+".*")) // no error: the pattern is right
	for _, path := range all {
		removeLeftovers(path, name)
		_ = os.Remove(path)
	}
}

// own is the folder of the cgroup that this process is in.
func own() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find cgroup2: %w", err)
	}
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("find cgroup2: %w", err)
	}
	return find(string(mounts), string(membership))
}

// find reads where cgroup2 is mounted, and which of its cgroups a process is in.
func find(mountinfo, membership string) (string, error) {
	inside := ""
	for line := range strings.Lines(membership) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			inside = path
		}
	}
	if inside == "" {
		return "", errors.New("find cgroup2: the kernel has none")
	}
	mounted := false
	for line := range strings.Lines(mountinfo) {
		root, at, ok := cgroupMount(line)
		mounted = mounted || ok
		if below, under := beneath(root, inside); ok && under {
			return filepath.Join(at, below), nil
		}
	}
	if mounted {
		return "", fmt.Errorf("find cgroup2: %s, which pgherd is in, is not part of what is mounted", inside)
	}
	return "", errors.New("find cgroup2: it is not mounted")
}

// cgroupMount reads a line of mountinfo, which proc(5) explains: what of cgroup2 is mounted, where.
func cgroupMount(line string) (root, at string, ok bool) {
	before, after, _ := strings.Cut(line, " - ")
	fields, kind := strings.Fields(before), strings.Fields(after)
	if len(fields) < 6 || len(kind) < 1 || kind[0] != "cgroup2" {
		return "", "", false
	}
	return unescape(fields[3]), unescape(fields[4]), true
}

// unescape reads the octal numbers by which blanks are written there.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// beneath is the way from a folder to a path; false: the path is not in it. The kernel writes /..
// for what is outside of the cgroup namespace.
func beneath(root, path string) (string, bool) {
	way, err := filepath.Rel(root, path)
	return way, err == nil && way != ".." && !strings.HasPrefix(way, "../") && !strings.HasPrefix(path, "/..")
}
