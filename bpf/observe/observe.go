// Package observe watches the TCP connections of this process by a sockops program on a cgroup of
// its own: those that clients have opened, and those to nodes. It counts what came of them, by the
// remote side, and tells signs of trouble with a node within a millisecond. The kernel runs the
// program when a connection begins or ends and when something has to be sent again, not for each
// packet.
//
// Contract: Start before the first socket, because a socket belongs to the cgroup in which its
// process was when it made it. A sign is no proof: a lost packet is one. Whoever gets signs may ask
// the node, and no more. Addresses are given without the form of IPv4 inside of IPv6.
//
// Limits: those of the maps in observe.c, socketsLimit, tellWithin.
package observe

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"pgherd/bpf"
)

//go:generate go tool bpf2go -go-package observe -target bpfel -cc clang-14 -strip llvm-strip-14 -type sign -type counts -type peer observe observe.c -- -O2 -Wall -Werror

// Name is the feature as an operator sees it, and MinVersion the first kernel that has all of it: it
// tells the cgroups of sockets.
const (
	Name       = "observe (sockops)"
	MinVersion = "5.9"
)

// cgroupName begins the name of the cgroup.
const cgroupName = "pgherd"

// Settings of an Observer.
type Settings struct {
	Port int // where clients connect; all other connections are to nodes
}

// Observer watches until it is closed. Any goroutine may use it.
type Observer struct {
	port    uint16
	cgroup  *bpf.Cgroup
	objects observeObjects
	link    link.Link
	signs   *ringbuf.Reader
	reading sync.WaitGroup
}

// Start puts the process into a cgroup of its own, and watches it. A *bpf.Unavailable says what of
// the kernel it may not use; then nothing has changed.
func Start(s Settings) (*Observer, error) {
	if err := bpf.Permitted(); err != nil {
		return nil, err
	}
	if err := bpf.Require(bpf.Sockops, bpf.RingBuffer); err != nil {
		return nil, err
	}
	if _, err := sockets(nobody); err != nil { // a kernel may lack the module
		return nil, &bpf.Unavailable{Feature: "tcp_diag", MinVersion: "3.3", Err: err}
	}
	o := &Observer{port: uint16(s.Port)}
	if err := o.load(); err != nil {
		return nil, unavailable("load program", err)
	}
	var err error
	if o.cgroup, err = bpf.Join(cgroupName); err != nil {
		return nil, errors.Join(err, o.objects.Close())
	}
	if err := o.attach(); err != nil {
		return nil, errors.Join(unavailable("attach program", err), o.cgroup.Leave(), o.objects.Close())
	}
	return o, nil
}

func unavailable(doing string, err error) error {
	return &bpf.Unavailable{Feature: Name, MinVersion: MinVersion, Err: fmt.Errorf("%s: %w", doing, err)}
}

func (o *Observer) load() error {
	spec, err := loadObserve()
	if err != nil {
		return err
	}
	if err := spec.Variables["listen_port"].Set(o.port); err != nil {
		return err
	}
	return spec.LoadAndAssign(&o.objects, nil)
}

func (o *Observer) attach() (err error) {
	if o.signs, err = ringbuf.NewReader(o.objects.Signs); err != nil {
		return err
	}
	o.link, err = link.AttachCgroup(link.CgroupOptions{Path: o.cgroup.Path, Attach: ebpf.AttachCGroupSockOps, Program: o.objects.Observe})
	if err != nil {
		return errors.Join(err, o.signs.Close())
	}
	return nil
}

// Close stops watching, and takes the process out of the cgroup. It may be called twice.
func (o *Observer) Close() error {
	err := errors.Join(o.link.Close(), o.signs.Close())
	o.reading.Wait()
	return errors.Join(err, o.objects.Close(), o.cgroup.Leave())
}

// tellWithin bounds one wait for a sign, so that the reader notices its end whatever happens.
const tellWithin = time.Minute

// Tell has signs told from now on, one at a time, until Close; it is called once at most. What it
// is given must be quick, or signs are lost.
func (o *Observer) Tell(tell func(Sign)) { o.reading.Go(func() { o.read(tell) }) }

func (o *Observer) read(tell func(Sign)) {
	var r ringbuf.Record
	for {
		o.signs.SetDeadline(time.Now().Add(tellWithin))
		switch err := o.signs.ReadInto(&r); {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			return
		default:
			if s, ok := readSign(r.RawSample); ok {
				tell(s)
			}
		}
	}
}

// Traffic is what the kernel has counted, and what of it lives.
func (o *Observer) Traffic() (*Traffic, error) {
	t := &Traffic{Nodes: map[netip.AddrPort]Counts{}, Clients: map[netip.Addr]Counts{}}
	if err := t.addEnded(&o.objects.observeMaps); err != nil {
		return nil, fmt.Errorf("read what ended connections have counted: %w", err)
	}
	live, err := sockets(o.cgroup.ID)
	if err != nil {
		return nil, fmt.Errorf("ask for live connections: %w", err)
	}
	for _, s := range live {
		t.addLive(&s, o.port)
	}
	return t, nil
}
