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

// enforcement is what has the kernel enforce leases: a sentry on each interface. why says why there are none; nil: there are.
type enforcement struct {
	by  map[string]*sentry.Sentry
	why error
}

// errOff is why the kernel does not enforce leases where it is not to be asked.
var errOff = errors.New("bpf is off")

// hold opens what acts on the kernel: sentries first, so that addresses that were left over stay silent, and then keepers,
// which remove them. A witness has nothing of these: its grips are for the promises that it makes.
func (v *VIP) hold() error {
	if v.set.Witness {
		for _, a := range v.set.Addresses {
			v.grips = append(v.grips, &grip{ip: a.IP()})
		}
		return nil
	}
	if err := v.enforce(); err != nil {
		return err
	}
	for _, a := range v.set.Addresses {
		if err := v.grasp(a); err != nil {
			return err
		}
	}
	why := v.kernel.why
	if why == nil || len(v.set.Addresses) == 0 {
		return nil
	}
	for _, a := range v.set.Addresses { // whose left-over programs would keep it silent
		if err := sentry.Remove(v.sentryOn(a.Interface)); err != nil {
			v.set.Log.Warn("virtual address: what a former process has left is not removed", "interface", a.Interface, "error", err)
		}
	}
	v.set.Log.Warn("virtual address: the kernel does not enforce leases", "reason", why.Error())
	if v.set.Lease < ShortestUnenforced {
		return fmt.Errorf("hold %s: where the kernel does not enforce leases, they go by the lifetime of addresses, in whole seconds: set wd_lease to %v or more, on all members (%w)",
			v.set.Addresses[0], ShortestUnenforced, why)
	}
	return nil
}

func (v *VIP) sentryOn(name string) sentry.Settings {
	return sentry.Settings{Interface: name, Folder: v.set.Folder}
}

// enforce opens a sentry on each interface that has an address, or on none, where the kernel does not let it.
func (v *VIP) enforce() error {
	v.kernel.by = map[string]*sentry.Sentry{}
	if v.set.Unenforced {
		v.kernel.why = errOff
		return nil
	}
	for _, a := range v.set.Addresses {
		if v.kernel.by[a.Interface] != nil {
			continue
		}
		s, err := sentry.Open(v.sentryOn(a.Interface))
		if unavailable, is := errors.AsType[*bpf.Unavailable](err); is {
			v.kernel.why = unavailable
			return v.closeSentries()
		}
		if err != nil {
			return err
		}
		v.kernel.by[a.Interface] = s
		s.Events(v.rival)
	}
	return nil
}

// rival takes what a sentry has heard.
func (v *VIP) rival(r sentry.Rival) {
	v.post(func() {
		for _, g := range v.grips {
			if g.ip == r.Address {
				v.foreign(g, r.MAC)
			}
		}
	})
}

func (v *VIP) closeSentries() (err error) {
	for _, s := range v.kernel.by {
		err = errors.Join(err, s.Close())
	}
	v.kernel.by = nil
	return err
}

// grasp opens the keeper and the hand of an address.
func (v *VIP) grasp(a address.Address) error {
	g := &grip{ip: a.IP()}
	s := v.kernel.by[a.Interface]
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
	g.owes = renew
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
		if g.hand == nil {
			continue
		}
		close(g.hand.orders)
		<-g.hand.ended
		err = errors.Join(err, g.hand.keeper.Close())
	}
	return errors.Join(err, v.closeSentries())
}
