package vip

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"pgherd/bpf/sentry"
	"pgherd/vip/address"
	"pgherd/vip/lease"
)

// grip is an address, and this member's part in it.
type grip struct {
	ip      netip.Addr
	lease   *lease.Lease
	hand    *hand         // nil: a witness's, which is never told to hold it
	told    bool          // to hold it
	shunned time.Duration // it is not asked for before: another host has it
	handed  time.Duration // when the member that had it gave it back
	owes    act           // what the hand was told last to do, and has not done; renew: nothing
	ordered time.Duration // when
}

// shunnedFor is for how long an address is left alone that another host has.
const shunnedFor = 5 * time.Second

// act is what a hand does.
type act uint8

const (
	renew   act = iota // let the kernel answer until then
	silence            // let it answer no more
	remove             // take the address off the interface
)

// orderAgain is when a hand is told again what it could not do: an interface may have been gone for a moment.
const orderAgain = time.Second

func (g *grip) order(a act, now time.Duration) {
	g.owes, g.ordered = a, now
	g.hand.order(a)
}

func (g *grip) again(now time.Duration) {
	if g.owes != renew && now-g.ordered >= orderAgain && len(g.hand.orders) == 0 {
		g.order(g.owes, now)
	}
}

// hand acts on the kernel for one address, in the order in which it is told.
type hand struct {
	log     *slog.Logger
	ip      netip.Addr
	keeper  *address.Keeper
	sentry  *sentry.Sentry // nil: the kernel does not enforce leases
	limit   time.Duration  // for one act
	until   atomic.Int64   // of the latest renewal
	handed  atomic.Bool
	orders  chan act
	ended   chan struct{}
	done    func(act)                  // tells that the kernel is silent, or the address removed
	foreign func(mac net.HardwareAddr) // tells that another host has the address
	held    bool
}

// answer has the kernel answer until then. Of several that wait the latest counts. handed says that a member had the address
// just before.
func (h *hand) answer(until time.Duration, handed bool) {
	h.until.Store(int64(until))
	h.handed.Store(handed)
	if len(h.orders) == 0 {
		h.order(renew)
	}
}

func (h *hand) order(a act) { h.orders <- a }

func (h *hand) run() {
	defer close(h.ended)
	for a := range h.orders {
		ctx, cancel := context.WithTimeout(context.Background(), h.limit)
		if err := h.act(ctx, a); err != nil {
			h.log.Error("virtual address: trouble", "address", h.ip.String(), "error", err)
		}
		cancel()
	}
}

func (h *hand) act(ctx context.Context, a act) error {
	switch a {
	case renew:
		return h.renew(ctx)
	case silence:
		if h.sentry == nil { // what does not enforce leases is silent only without the address
			return h.finish(a, h.keeper.Release(ctx))
		}
		return h.finish(a, h.sentry.Drop(h.ip))
	}
	h.held = false
	return h.finish(a, h.keeper.Release(ctx))
}

// finish tells that an act is done. One that has failed is not told, and is ordered again.
func (h *hand) finish(a act, err error) error {
	if err == nil {
		h.done(a)
	}
	return err
}

// renew lets the kernel answer for longer.
func (h *hand) renew(ctx context.Context) error {
	if !h.held {
		if free, err := h.free(ctx); !free || err != nil {
			return err
		}
	}
	until := time.Duration(h.until.Load())
	if h.sentry != nil {
		if err := h.sentry.SetLease(h.ip, until); errors.Is(err, sentry.ErrRival) {
			return nil // the rival was told
		} else if err != nil {
			return err
		}
	}
	err := h.keeper.Hold(ctx, until)
	h.held = h.held || err == nil
	return err
}

// free asks the network whether another host has the address. What a member has just given back is free.
func (h *hand) free(ctx context.Context) (bool, error) {
	if !h.handed.Load() {
		mac, err := h.keeper.Conflict(ctx)
		if err != nil {
			return false, err
		}
		if mac != nil {
			h.foreign(mac)
			return false, nil
		}
	}
	if h.sentry != nil {
		return true, h.sentry.Drop(h.ip) // a rival of before is forgotten
	}
	return true, nil
}
