package sentry

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"pgherd/bpf"
)

// What a filter on egress needs.
const (
	clsactName  = "clsact with cls_bpf"
	clsactSince = "4.5"
)

// answerWithin is how long the kernel may take to answer, before that is an error.
const answerWithin = time.Second

func openKernel() (*netlink.Handle, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := h.SetSocketTimeout(answerWithin); err != nil {
		h.Close()
		return nil, fmt.Errorf("limit a netlink socket: %w", err)
	}
	return h, nil
}

// filter is our program on egress before tcx.
type filter struct {
	kernel *netlink.Handle
	index  int
}

// Ours is the first that is asked, and is found again by its number.
const (
	filterPriority = 1
	filterNumber   = 0x70676864 // "pghd"
	noProgram      = -1
)

func (f filter) of(program int) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: f.index, Parent: netlink.HANDLE_MIN_EGRESS, Priority: filterPriority, Handle: filterNumber, Protocol: unix.ETH_P_ALL},
		Fd:          program, Name: "pgherd_sentry", DirectAction: true,
	}
}

// filter has the kernel exchange the program of a former process's filter in one step, or makes the
// filter.
func (o *Sentry) filter(index int) error {
	f := filter{o.kernel, index}
	if err := f.addClsact(); err != nil {
		return &bpf.Unavailable{Feature: clsactName, MinVersion: clsactSince, Err: fmt.Errorf("add qdisc: %w", err)}
	}
	if err := f.kernel.FilterReplace(f.of(o.objects.Leaves.FD())); err != nil {
		return &bpf.Unavailable{Feature: clsactName, MinVersion: clsactSince, Err: fmt.Errorf("add filter: %w", err)}
	}
	o.hooks = append(o.hooks, f)
	return nil
}

func (f filter) on() netlink.Link {
	return &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: f.index}}
}

// addClsact adds the qdisc, unless it is there. Another one in its place would take our filter, too,
// and ask it about what comes.
func (f filter) addClsact() error {
	clsact := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: f.index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
	err := f.kernel.QdiscAdd(clsact)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	all, err := f.kernel.QdiscList(f.on())
	if err != nil {
		return err
	}
	for _, q := range all {
		if q.Attrs().Parent == netlink.HANDLE_CLSACT && q.Type() != clsact.Type() {
			return fmt.Errorf("the interface has the qdisc %s in its place", q.Type())
		}
	}
	return nil
}

// Close has nothing to give back: the filter holds the program, and the interface the filter.
func (f filter) Close() error { return nil }

// detach removes the filter. What is gone already, perhaps with the interface, needs no removing.
func (f filter) detach() error {
	all, err := f.kernel.FilterList(f.on(), netlink.HANDLE_MIN_EGRESS)
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list filters on egress: %w", err)
	}
	for _, is := range all {
		if is.Type() != "bpf" || is.Attrs().Handle != filterNumber || is.Attrs().Priority != filterPriority {
			continue
		}
		if err := f.kernel.FilterDel(f.of(noProgram)); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("remove filter from egress: %w", err)
		}
	}
	return nil
}

// removeFilter removes the filter of a former process.
func removeFilter(name string) error {
	kernel, err := openKernel()
	if err != nil {
		return err
	}
	defer kernel.Close()
	l, err := kernel.LinkByName(name)
	if _, gone := errors.AsType[netlink.LinkNotFoundError](err); gone {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	return filter{kernel, l.Attrs().Index}.detach()
}
