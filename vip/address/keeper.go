package address

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// Settings are what a Keeper is told when it is opened.
type Settings struct {
	Log   *slog.Logger
	Clock func() time.Duration // CLOCK_BOOTTIME, by which it is told until when
	// Enforced says that the kernel mutes the address when its time is over, so that it may stay for a second longer. Without
	// that it is removed up to a second early.
	Enforced bool
	// Rival is called, on another goroutine, with the Ethernet address of another host that says that it has the address.
	Rival func(net.HardwareAddr)
}

// A Keeper has one address on its interface until the time that it was told last. What is there is compared with what
// should be at each order, each second, and when the kernel tells of a change.
type Keeper struct {
	address Address
	set     Settings
	link    *link
	socket  *socket

	orders  chan order
	changed chan struct{}
	heard   chan net.HardwareAddr
	stop    chan struct{}
	ended   chan struct{}

	// Of the goroutine that runs run.
	until   time.Duration
	is      port // at the last look
	course  course
	trouble string // that was logged last
}

type order struct {
	until time.Duration
	done  chan<- error
}

// Open opens all that a Keeper needs, in the network namespace of the calling thread, and removes an address that was left
// over. Close ends it.
func Open(a Address, s Settings) (k *Keeper, err error) {
	k = &Keeper{address: a, set: s, orders: make(chan order), changed: make(chan struct{}, 1), heard: make(chan net.HardwareAddr, 1),
		stop: make(chan struct{}), ended: make(chan struct{})}
	if k.socket, err = openSocket(a.IP()); err != nil {
		return nil, err
	}
	if k.link, err = openLink(a, k.look); err != nil {
		_ = k.socket.file.Close()
		return nil, err
	}
	if err := k.settle(); err != nil {
		k.link.close()
		_ = k.socket.file.Close()
		return nil, err
	}
	go k.socket.hear(a.IP(), k.rival)
	go k.run()
	return k, nil
}

// Hold has the address until a time on the clock, and returns once it is there. It is called again before that time
// to have it for longer.
func (k *Keeper) Hold(ctx context.Context, until time.Duration) error { return k.order(ctx, until) }

// Release removes the address, and returns once it is gone.
func (k *Keeper) Release(ctx context.Context) error { return k.order(ctx, 0) }

var errClosed = errors.New("the keeper of the address is closed")

func (k *Keeper) order(ctx context.Context, until time.Duration) error {
	done := make(chan error, 1)
	select {
	case k.orders <- order{until, done}:
	case <-k.ended:
		return errClosed
	case <-ctx.Done():
		return fmt.Errorf("change %s: %w", k.address, ctx.Err())
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("change %s: %w", k.address, ctx.Err())
	}
}

// Close removes the address, and closes what Open has opened.
func (k *Keeper) Close() error {
	close(k.stop)
	<-k.ended
	k.until = 0
	err := k.settle()
	k.link.close()
	return errors.Join(err, k.socket.file.Close())
}

// look has the Keeper look at what is there. It does not block.
func (k *Keeper) look() {
	select {
	case k.changed <- struct{}{}:
	default: // it is going to look in any case
	}
}

func (k *Keeper) rival(mac net.HardwareAddr) {
	select {
	case k.heard <- mac:
	default:
	}
	if k.set.Rival != nil {
		k.set.Rival(mac)
	}
}

func (k *Keeper) run() {
	defer close(k.ended)
	for {
		var err error
		select {
		case o := <-k.orders:
			k.until = o.until
			err = k.settle()
			o.done <- err
		case <-k.changed:
			err = k.settle()
		case <-time.After(k.pause()):
			err = k.settle()
		case <-k.stop:
			return
		}
		k.note(err)
	}
}

// pause is how long nothing is to be done by itself.
func (k *Keeper) pause() time.Duration {
	if k.course.since == 0 || k.trouble != "" {
		return lookEvery
	}
	return min(max(k.course.next()-k.set.Clock(), 0), lookEvery)
}

// note logs trouble once, and its end.
func (k *Keeper) note(err error) {
	is := ""
	if err != nil {
		is = err.Error()
	}
	if is != k.trouble && is != "" {
		k.set.Log.Error("virtual address: trouble", "address", k.address.String(), "error", err)
	} else if is != k.trouble {
		k.set.Log.Info("virtual address: the trouble is over", "address", k.address.String())
	}
	k.trouble = is
}

// settle makes what is there what should be.
func (k *Keeper) settle() error {
	now, was := k.set.Clock(), k.is
	is, err := k.link.port()
	if err != nil {
		k.is, k.course = port{}, course{}
		return err
	}
	k.is = is
	if err := k.socket.use(is.index); err != nil {
		return err
	}
	entries, err := k.link.entries(is, k.address)
	if err != nil {
		return err
	}
	switch {
	case life(k.until-now, k.set.Enforced) > 0:
		return k.keep(now, entries == nil || k.course.since == 0 || !is.same(was))
	case entries != nil:
		k.course = course{}
		k.set.Log.Info("virtual address: removed", "address", k.address.String())
		return k.link.remove(is, entries)
	}
	k.course = course{}
	return nil
}

// same says that neighbours need not be told anew.
func (p port) same(as port) bool {
	return p.index == as.index && p.running == as.running && p.mac.String() == as.mac.String()
}

// keep has the address live on, and tells neighbours when that is due. The process may have been stopped at any point, so
// the clock is read before and after what gives the address a life.
func (k *Keeper) keep(now time.Duration, anew bool) error {
	left := life(k.until-k.set.Clock(), k.set.Enforced)
	if left == 0 {
		return k.late()
	}
	if err := k.link.add(k.is, k.address, left); err != nil {
		return err
	}
	if ends := k.set.Clock() + left + removalDelay; !k.set.Enforced && ends > k.until {
		return k.late()
	}
	if anew {
		k.course = course{since: now}
		k.set.Log.Info("virtual address: added", "address", k.address.String())
	}
	if k.course.next() > now {
		return nil
	}
	k.course = k.course.passed(now)
	return k.socket.send(announcements(k.address.IP(), k.is.mac))
}

// late removes the address: it would outlive the time until which it may be held.
func (k *Keeper) late() error {
	k.course = course{}
	entries, err := k.link.entries(k.is, k.address)
	if err == nil {
		err = k.link.remove(k.is, entries)
	}
	return errors.Join(fmt.Errorf("hold %s: the process was stopped for too long", k.address), err)
}
