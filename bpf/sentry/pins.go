package sentry

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
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

// Remove removes what a former process has pinned, where nobody opens a Sentry any more: its
// addresses are judged no more.
func Remove(s Settings) error { return pinsOf(s).remove() }

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

// attached is a program on one direction of the interface.
type attached struct {
	link.Link
	name string
}

// attach takes over the links of a former process, each in one step, or makes them.
func (o *Sentry) attach(index int) error {
	for _, d := range []struct {
		name    string
		program *ebpf.Program
		anew    func(index int) (link.Link, error)
	}{
		{leavesPin, o.objects.Leaves, o.attachLeaves},
		{entersPin, o.objects.Enters, o.attachEnters},
	} {
		l, err := o.takeOver(d.name, d.program, index)
		if err != nil {
			return err
		}
		if l == nil {
			if l, err = d.anew(index); err != nil {
				return err
			}
			err = o.pins.replace(d.name, l)
		}
		o.links = append(o.links, attached{l, d.name})
		if err != nil {
			return err
		}
	}
	return nil
}

// takeOver has the link of a former process run our program; nil: there is none on this interface.
// A link whose interface is gone is on none.
func (o *Sentry) takeOver(name string, program *ebpf.Program, index int) (link.Link, error) {
	old, err := link.LoadPinnedLink(o.pins.path(name), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, o.pins.drop(name)
	}
	if at, _ := interfaceOf(old); at == index && old.Update(program) == nil {
		return old, nil
	}
	return nil, errors.Join(old.Close(), o.pins.drop(name))
}

func interfaceOf(l link.Link) (index int, err error) {
	info, err := l.Info()
	if err != nil {
		return 0, err
	}
	if x := info.XDP(); x != nil {
		return int(x.Ifindex), nil
	}
	if x := info.TCX(); x != nil {
		return int(x.Ifindex), nil
	}
	return 0, nil
}

func (o *Sentry) attachLeaves(index int) (link.Link, error) {
	l, err := link.AttachTCX(link.TCXOptions{Program: o.objects.Leaves, Interface: index, Attach: ebpf.AttachTCXEgress, Anchor: link.Head()})
	if err != nil {
		return nil, fmt.Errorf("attach program to egress: %w", err)
	}
	return l, nil
}

// attachEnters tries the driver's own XDP first, which not every driver has.
func (o *Sentry) attachEnters(index int) (l link.Link, err error) {
	options := link.XDPOptions{Program: o.objects.Enters, Interface: index}
	for _, options.Flags = range []link.XDPAttachFlags{link.XDPDriverMode, link.XDPGenericMode} {
		if l, err = link.AttachXDP(options); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("attach program to XDP: %w", err)
}

func (o *Sentry) detach() (err error) {
	for _, l := range o.links {
		err = errors.Join(err, o.pins.drop(l.name))
	}
	return err
}
