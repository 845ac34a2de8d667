package sentry

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// pins are the files of one interface in a bpffs of our own: /sys/fs/bpf is another one wherever
// /sys was mounted anew.
type pins struct {
	root   string // where the bpffs is mounted
	folder string
}

const (
	leasesPin = "leases"
	entersPin = "enters"
	leavesPin = "leaves"
)

func pinsOf(s Settings) pins {
	root := cmp.Or(s.Folder, Folder)
	return pins{root, filepath.Join(root, s.Interface)}
}

func (p pins) path(name string) string { return filepath.Join(p.folder, name) }

func (p pins) make() error {
	if err := os.MkdirAll(p.root, 0o700); err != nil {
		return fmt.Errorf("make folder of bpffs: %w", err)
	}
	var is unix.Statfs_t
	if err := unix.Statfs(p.root, &is); err != nil {
		return fmt.Errorf("look at %s: %w", p.root, err)
	}
	if is.Type != unix.BPF_FS_MAGIC {
		if err := unix.Mount("bpf", p.root, "bpf", 0, "mode=0700"); err != nil {
			return fmt.Errorf("mount bpffs on %s: %w", p.root, err)
		}
	}
	if err := os.MkdirAll(p.folder, 0o700); err != nil {
		return fmt.Errorf("make folder in bpffs: %w", err)
	}
	return nil
}

// Remove removes what a former process has left, where nobody opens a Sentry any more: its addresses
// are judged no more. It is called in the network namespace in which Open was.
func Remove(s Settings) error { return errors.Join(pinsOf(s).remove(), removeFilter(s.Interface)) }

func (p pins) remove() error {
	if err := os.RemoveAll(p.folder); err != nil {
		return fmt.Errorf("remove pins: %w", err)
	}
	return nil
}

// drop removes one pin, if it is there.
func (p pins) drop(name string) error {
	if err := os.Remove(p.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove pin: %w", err)
	}
	return nil
}

func (p pins) replace(name string, by interface{ Pin(string) error }) error {
	if err := p.drop(name); err != nil {
		return err
	}
	if err := by.Pin(p.path(name)); err != nil {
		return fmt.Errorf("pin %s: %w", name, err)
	}
	return nil
}

// inherit silences the addresses of a former process: nobody has granted this one their leases. A
// map that cannot be read, being another version's, is inherited as if it were not there.
func (o *Sentry) inherit() error {
	old, err := ebpf.LoadPinnedMap(o.pins.path(leasesPin), nil)
	if err != nil {
		return nil
	}
	defer old.Close()
	if old.KeySize() != o.objects.Leases.KeySize() || old.ValueSize() != o.objects.Leases.ValueSize() {
		return nil
	}
	var address sentryAddress
	var is sentryLease
	all := old.Iterate()
	for all.Next(&address, &is) {
		is = sentryLease{Deadline: muted, Mac: [macBytes]byte(o.mac)}
		if err := o.objects.Leases.Put(address, is); err != nil {
			return fmt.Errorf("take over a lease: %w", err)
		}
	}
	if err := all.Err(); err != nil {
		return fmt.Errorf("read the leases of a former process: %w", err)
	}
	return nil
}
