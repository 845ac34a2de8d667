package sentry

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink/nl"

	"pgherd/bpf"
)

// hook is a program on one direction of the interface.
type hook interface {
	detach() error // takes the program away
	Close() error  // gives back what the process holds of it; the program stays
}

// Mode is how the kernel calls the programs.
type Mode struct {
	XDP    string // "native", by the driver; "generic", later, by the kernel
	Egress string // "tcx" or "clsact"
}

func (m Mode) String() string { return m.XDP + " XDP, " + m.Egress }

// Mode does not change after Open.
func (o *Sentry) Mode() Mode { return o.mode }

// attach takes over the programs of a former process, each in one step, or attaches ours anew.
func (o *Sentry) attach(index int, clsact bool) (err error) {
	o.mode.Egress = "tcx"
	if clsact || bpf.Require(bpf.TCX) != nil {
		o.mode.Egress = "clsact"
		err = o.filter(index)
	} else {
		err = o.link(leavesPin, o.objects.Leaves, index, attachTCX)
	}
	if err != nil {
		return fmt.Errorf("attach program to egress: %w", err)
	}
	if err := o.link(entersPin, o.objects.Enters, index, attachXDP); err != nil {
		return fmt.Errorf("attach program to XDP: %w", err)
	}
	o.mode.XDP, err = o.modeOfXDP(index)
	return err
}

// modeOfXDP asks the kernel, because the program's link may be a former process's.
func (o *Sentry) modeOfXDP(index int) (string, error) {
	l, err := o.kernel.LinkByIndex(index)
	if err != nil {
		return "", fmt.Errorf("look at interface: %w", err)
	}
	if xdp := l.Attrs().Xdp; xdp != nil {
		switch xdp.AttachMode {
		case nl.XDP_ATTACHED_DRV:
			return "native", nil
		case nl.XDP_ATTACHED_SKB:
			return "generic", nil
		}
	}
	return "", errors.New("look at interface: it has no program on XDP")
}

// pinned is a link that outlives the process, until its pin is dropped, too.
type pinned struct {
	link.Link
	pins pins
	name string
}

func (p pinned) detach() error { return p.pins.drop(p.name) }

// link has a pinned link run our program.
func (o *Sentry) link(name string, program *ebpf.Program, index int, anew func(*ebpf.Program, int) (link.Link, error)) error {
	l, err := o.takeOver(name, program, index)
	if err != nil {
		return err
	}
	if l == nil {
		if l, err = anew(program, index); err != nil {
			return err
		}
		err = o.pins.replace(name, l)
	}
	o.hooks = append(o.hooks, pinned{l, o.pins, name})
	return err
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

func attachTCX(program *ebpf.Program, index int) (link.Link, error) {
	return link.AttachTCX(link.TCXOptions{Program: program, Interface: index, Attach: ebpf.AttachTCXEgress, Anchor: link.Head()})
}

// attachXDP tries the driver's own XDP first, which not every driver has.
func attachXDP(program *ebpf.Program, index int) (l link.Link, err error) {
	options := link.XDPOptions{Program: program, Interface: index}
	for _, options.Flags = range []link.XDPAttachFlags{link.XDPDriverMode, link.XDPGenericMode} {
		if l, err = link.AttachXDP(options); err == nil {
			return l, nil
		}
	}
	return nil, err
}
