package vip

import (
	"errors"
	"fmt"
	"net"
	"time"

	"pgherd/bpf"
	"pgherd/bpf/sentry"
	"pgherd/vip/address"
)

// sentries enforce leases, one on each interface. why says why there are none; nil: there are.
type sentries struct {
	by  map[string]*sentry.Sentry
	why *bpf.Unavailable
}

// hold opens what acts on the kernel: sentries first, so that addresses that were left over stay silent, and then keepers,
// which remove them.
func (v *VIP) hold() error {
	err := v.enforce()
	unenforced := errors.As(err, &v.sentries.why)
	if err != nil && !unenforced {
		return err
	}
	for _, a := range v.set.Addresses {
		if err := v.grasp(a); err != nil {
			return err
		}
	}
	if !unenforced || len(v.set.Addresses) == 0 {
		return nil
	}
	v.set.Log.Warn("virtual address: the kernel does not enforce leases", "reason", v.sentries.why.Error())
	if v.set.Lease < ShortestUnenforced {
		return fmt.Errorf("hold %s: where the kernel does not enforce leases, they go by the lifetime of addresses, in whole seconds: set wd_lease to %v or more, on all members (%w)",
			v.set.Addresses[0], ShortestUnenforced, v.sentries.why)
	}
	return nil
}

// enforce opens a sentry on each interface that has an address.
func (v *VIP) enforce() error {
	v.sentries.by = map[string]*sentry.Sentry{}
	for _, a := range v.set.Addresses {
		if v.sentries.by[a.Interface] != nil {
			continue
		}
		s, err := sentry.Open(sentry.Settings{Interface: a.Interface, Folder: v.set.Folder})
		if err != nil {
			return err
		}
		v.sentries.by[a.Interface] = s
		s.Events(func(r sentry.Rival) {
			for _, g := range v.grips {
				if g.ip == r.Address {
					v.post(func() { v.foreign(g, r.MAC) })
				}
			}
		})
	}
	return nil
}

// grasp opens the keeper and the hand of an address.
func (v *VIP) grasp(a address.Address) error {
	g := &grip{ip: a.IP()}
	s := v.sentries.by[a.Interface]
	if v.sentries.why != nil {
		s = nil
	}
	rival := func(mac net.HardwareAddr) {
		if s == nil {
			v.post(func() { v.foreign(g, mac) })
		}
	}
	keeper, err := address.Open(a, address.Settings{Log: v.set.Log, Clock: v.set.Clock, Enforced: s != nil, Rival: rival})
	if err != nil {
		return fmt.Errorf("hold %s: %w", a, err)
	}
	g.hand = &hand{log: v.set.Log, ip: g.ip, keeper: keeper, sentry: s, limit: max(v.set.Lease, time.Second), orders: make(chan act, 4), ended: make(chan struct{})}
	g.hand.done = func(a act) { v.post(func() { v.acted(g, a) }) }
	g.hand.foreign = func(mac net.HardwareAddr) { v.post(func() { v.foreign(g, mac) }) }
	go g.hand.run()
	v.grips = append(v.grips, g)
	return nil
}

// acted takes up what a hand has done.
func (v *VIP) acted(g *grip, a act) {
	if a == silence {
		v.do(g, g.lease.Silenced())
	} else {
		v.do(g, g.lease.Removed())
	}
}

// foreign gives up an address that another host has, for a while: two that answer are worse than none.
func (v *VIP) foreign(g *grip, mac net.HardwareAddr) {
	now := v.set.Clock()
	if !g.told {
		return // it is the holder's
	}
	g.shunned = now + shunnedFor
	v.set.Log.Error("virtual address: another host has it, so it is not held here", "address", g.ip.String(), "mac", mac.String(), "hint", "Take it off that host.")
	v.tell(g, now)
}

// letGo closes what acts on the kernel.
func (v *VIP) letGo() (err error) {
	for _, g := range v.grips {
		close(g.hand.orders)
		<-g.hand.ended
		err = errors.Join(err, g.hand.keeper.Close())
	}
	for _, s := range v.sentries.by {
		err = errors.Join(err, s.Close())
	}
	return err
}
