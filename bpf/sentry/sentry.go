// Package sentry has the kernel enforce until when this host may answer at a virtual address. A
// program on each direction of an interface compares the address's deadline with the clock for
// every packet. Past it, or once the process is gone, nothing is heard or said in the address's
// name, though it is still on the interface: a process that is stopped or dead need not do anything.
//
// Contract: an address that SetLease was never called for passes. Programs and leases are pinned, so
// that they outlive the process, and Open takes over what a former process has left: its addresses
// stay silent until SetLease or Forget. So a starting process opens the sentry first, and then
// removes left-over addresses. If Open fails, it removes left-over addresses first and then calls
// Remove; leases are enforced by the addresses' lifetimes then.
//
// Egress is tcx's hook, or clsact's before Linux 6.6. A filter on clsact cannot be pinned, and need
// not be: it is the interface's. The qdisc clsact stays when the filter goes, because others may have
// filters in it.
//
// The mount namespace in which Open is called first has to outlive the process, because a bpffs
// that is mounted nowhere any more is gone with all pins.
//
// Limits: those of the maps in sentry.c, tellWithin, answerWithin.
package sentry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/vishvananda/netlink"

	"pgherd/bpf"
)

//go:generate go tool bpf2go -go-package sentry -target bpfel -cc clang-14 -strip llvm-strip-14 -type address -type lease -type rival sentry sentry.c -- -O2 -Wall -Werror

// Name is the feature as an operator sees it, and MinVersion the first kernel that has all of it:
// programs on XDP that are links, which can be pinned.
const (
	Name       = "sentry (XDP, tcx or clsact)"
	MinVersion = "5.9"
)

// Folder is where it is pinned, unless Settings say otherwise.
const Folder = "/run/pgherd/bpf"

// Settings of a Sentry.
type Settings struct {
	Interface string
	Folder    string // "": the constant
	Clsact    bool   // on egress, though the kernel may have tcx; tests on new kernels set this
}

// Sentry enforces leases until it is closed. Any goroutine may use it, but an address has one that
// sets its lease.
type Sentry struct {
	pins    pins
	mac     net.HardwareAddr
	objects sentryObjects
	kernel  *netlink.Handle // in the interface's network namespace
	mode    Mode
	hooks   []hook
	rivals  *ringbuf.Reader
	reading sync.WaitGroup
}

// A Rival is another host that has announced an address whose lease was running here.
type Rival struct {
	Address netip.Addr
	MAC     net.HardwareAddr
}

// ErrRival is why a lease is not set: another host has announced the address since. Drop makes it
// possible again.
var ErrRival = errors.New("another host has announced the address")

// Open attaches the programs to an interface, in the calling thread's network namespace. A
// *bpf.Unavailable says what of the kernel it may not use.
func Open(s Settings) (*Sentry, error) {
	if err := bpf.Permitted(); err != nil {
		return nil, err
	}
	if err := bpf.Require(bpf.RingBuffer); err != nil {
		return nil, err
	}
	i, err := net.InterfaceByName(s.Interface)
	if err != nil {
		return nil, fmt.Errorf("find interface %s: %w", s.Interface, err)
	}
	if len(i.HardwareAddr) != macBytes {
		return nil, fmt.Errorf("watch interface %s: it has no Ethernet address", i.Name)
	}
	o := &Sentry{pins: pinsOf(s), mac: i.HardwareAddr}
	if err := o.start(i.Index, s.Clsact); err != nil {
		return nil, &bpf.Unavailable{Feature: Name, MinVersion: MinVersion, Err: errors.Join(err, o.release())}
	}
	return o, nil
}

const macBytes = 6

func (o *Sentry) start(index int, clsact bool) (err error) {
	if o.kernel, err = openKernel(); err != nil {
		return err
	}
	if err := loadSentryObjects(&o.objects, nil); err != nil {
		return fmt.Errorf("load programs: %w", err)
	}
	if err := errors.Join(o.objects.AliveIn.Put(uint32(0), o.objects.LivesIn), o.objects.AliveOut.Put(uint32(0), o.objects.LivesOut)); err != nil {
		return fmt.Errorf("fill arrays of programs: %w", err)
	}
	if o.rivals, err = ringbuf.NewReader(o.objects.Rivals); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	if err := o.pins.make(); err != nil {
		return err
	}
	if err := o.inherit(); err != nil {
		return err
	}
	if err := o.attach(index, clsact); err != nil {
		return err
	}
	return o.pins.replace(leasesPin, o.objects.Leases)
}

// muted is the deadline of an address that may not answer. 0 is the program's own, for rivals.
const muted = 1

// SetLease lets the host answer at an address until then, on CLOCK_BOOTTIME. It renews, too.
func (o *Sentry) SetLease(address netip.Addr, until time.Duration) error {
	is, err := o.lease(address)
	if err == nil && is.Deadline == 0 {
		return fmt.Errorf("set lease of %s: %w", address, ErrRival)
	}
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("look at lease of %s: %w", address, err)
	}
	return o.put(address, uint64(max(until, muted)))
}

// Drop silences the host at an address. It may come before SetLease, so that an address can be
// added to the interface while nothing is heard of it.
func (o *Sentry) Drop(address netip.Addr) error { return o.put(address, muted) }

// Forget has an address pass again: it is on the interface no more, or not judged any more.
func (o *Sentry) Forget(address netip.Addr) error {
	if err := o.objects.Leases.Delete(key(address)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("forget lease of %s: %w", address, err)
	}
	return nil
}

func (o *Sentry) put(address netip.Addr, deadline uint64) error {
	if err := o.objects.Leases.Put(key(address), sentryLease{Deadline: deadline, Mac: [macBytes]byte(o.mac)}); err != nil {
		return fmt.Errorf("set lease of %s: %w", address, err)
	}
	return nil
}

func (o *Sentry) lease(address netip.Addr) (is sentryLease, err error) {
	return is, o.objects.Leases.Lookup(key(address), &is)
}

func key(a netip.Addr) sentryAddress { return sentryAddress{Ip: a.As16()} }

// tellWithin bounds one wait for an event, so that the reader notices its end whatever happens.
const tellWithin = time.Minute

// Events has rivals told from now on, one at a time, until Close; it is called once at most.
func (o *Sentry) Events(tell func(Rival)) { o.reading.Go(func() { o.read(tell) }) }

func (o *Sentry) read(tell func(Rival)) {
	var r ringbuf.Record
	for {
		o.rivals.SetDeadline(time.Now().Add(tellWithin))
		switch err := o.rivals.ReadInto(&r); {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			return
		default:
			if rival, ok := readRival(r.RawSample); ok {
				o.mark(rival.Address)
				tell(rival)
			}
		}
	}
}

// mark ends the lease as the kernel has done: a renewal at the same moment may have overwritten that.
func (o *Sentry) mark(address netip.Addr) {
	if _, err := o.lease(address); err == nil {
		_ = o.put(address, 0)
	}
}

func readRival(raw []byte) (Rival, bool) {
	var r sentryRival
	if n, err := binary.Decode(raw, binary.NativeEndian, &r); err != nil || n != len(raw) {
		return Rival{}, false
	}
	return Rival{netip.AddrFrom16(r.Address.Ip).Unmap(), r.Mac[:]}, true
}

// Close takes the programs off the interface: its addresses are judged no more, so they are removed
// from the interface before. It may be called once.
func (o *Sentry) Close() error {
	var err error
	for _, h := range o.hooks {
		err = errors.Join(err, h.detach())
	}
	return errors.Join(err, o.pins.remove(), o.release())
}

// release gives back what the process holds. What is pinned stays, and is silent from now on.
func (o *Sentry) release() (err error) {
	if o.rivals != nil {
		err = o.rivals.Close()
		o.reading.Wait()
	}
	for _, h := range o.hooks {
		err = errors.Join(err, h.Close())
	}
	if o.kernel != nil {
		o.kernel.Close()
	}
	if o.objects.Leases != nil {
		err = errors.Join(err, o.objects.Close())
	}
	return err
}
