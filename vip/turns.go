package vip

import (
	"net/netip"
	"strconv"
	"time"

	"pgherd/vip/lease"
	"pgherd/vip/licence"
)

// run owns leases and licence until the VIP is closed.
func (v *VIP) run() {
	defer close(v.stopped)
	for {
		select {
		case f := <-v.mail:
			f()
		case <-time.After(v.sleep()):
		case <-v.stop:
			return
		}
		v.turn()
	}
}

// sleep is how long nothing is due by time.
func (v *VIP) sleep() time.Duration {
	now := v.set.Clock()
	left := min(v.licence.Next()-now, longest)
	for _, g := range v.grips {
		if at, wanted := g.lease.Next(); wanted {
			left = min(left, at-now)
		}
	}
	return max(left, 0)
}

// turn does what is due by time.
func (v *VIP) turn() {
	now := v.set.Clock()
	for _, g := range v.grips {
		v.tell(g, now)
		v.do(g, g.lease.Turn(now))
		g.again(now)
	}
	v.sendLicences(v.licence.Turn(v.leader(), v.watchdog.Term(), now))
	if until := v.licence.Until(); until != v.licensed {
		v.licensed = until
		v.set.Licensed(until)
	}
}

// tell has the leader ask for an address, unless another host has it. A witness asks for none.
func (v *VIP) tell(g *grip, now time.Duration) {
	if hold := v.standing.Leads && !v.set.Witness && now >= g.shunned; hold != g.told {
		g.told = hold
		v.do(g, g.lease.Tell(hold, now))
	}
}

// do has a Step carried out, in the order of its fields.
func (v *VIP) do(g *grip, s lease.Step) {
	for _, one := range s.Send {
		v.send(int(one.To), appendLease(nil, g.ip, one.Message))
	}
	if s.Answer != 0 {
		g.hand.answer(s.Answer, v.set.Clock()-g.handed < v.set.Lease)
	}
	if s.Silence {
		g.order(silence, v.set.Clock())
	}
	if s.Remove {
		g.order(remove, v.set.Clock())
	}
}

func (v *VIP) sendLicences(all []licence.Sent) {
	for _, one := range all {
		v.send(one.To, appendLicence(nil, one.Message))
	}
}

// send sends a message. What cannot be sent now is as lost as any other; it is asked for again.
func (v *VIP) send(to int, message []byte) {
	if err := v.lane.Send(to, message); err != nil {
		v.set.Log.Debug("watchdog: a message is not sent", "to", to, "error", err)
	}
}

// arrived takes a member's message. If there are more than can be taken, it is lost.
func (v *VIP) arrived(from int, message []byte) {
	if len(message) == 0 {
		return
	}
	var take func()
	switch message[0] {
	case ofLease:
		ip, m, err := readLease(message)
		if err != nil {
			return
		}
		take = func() { v.takeLease(from, ip, m) }
	case ofLicence:
		m, err := readLicence(message)
		if err != nil {
			return
		}
		take = func() {
			term := v.watchdog.Term()
			v.sendLicences(v.licence.Receive(from, m, term, v.set.Clock()))
		}
	default:
		return
	}
	select {
	case v.mail <- func() { v.heard[from] = v.set.Clock(); take() }:
	default:
	}
}

func (v *VIP) takeLease(from int, ip netip.Addr, m lease.Message) {
	for _, g := range v.grips {
		if g.ip != ip {
			continue
		}
		now := v.set.Clock()
		if m.Kind == lease.Release && g.lease.Status(now).Promised == lease.Member(from) {
			g.handed = now
		}
		v.do(g, g.lease.Receive(lease.Member(from), m, now))
	}
}

// elected takes up who leads.
func (v *VIP) elected() {
	before := v.standing
	v.standing = v.watchdog.Standing()
	if v.standing.Leads {
		v.licence.Lead(v.standing.Term, v.set.Epoch(), v.set.Clock())
	} else {
		v.licence.Lead(0, 0, v.set.Clock())
	}
	if v.standing.Leads != before.Leads {
		go v.set.Turned() // who is told may be waiting for this goroutine
	}
}

// leader is the number of who leads.
func (v *VIP) leader() int {
	n, err := strconv.Atoi(v.standing.Leader)
	if err != nil {
		return licence.Nobody
	}
	return n
}

// part has another member lead, gives all addresses back, and returns once they are, or after a lease at most.
func (v *VIP) part() {
	if err := v.watchdog.Resign(); err != nil { // the others then elect one after a while
		v.set.Log.Warn("watchdog: nobody takes over at once", "error", err)
	}
	v.ask(func() {
		for _, g := range v.grips {
			g.shunned, g.told = forever, false
			v.do(g, g.lease.Tell(false, v.set.Clock()))
		}
	})
	for deadline := v.set.Clock() + v.set.Lease; v.set.Clock() < deadline; time.Sleep(partPoll) {
		held := false
		v.ask(func() {
			for _, g := range v.grips {
				held = held || g.lease.Status(v.set.Clock()).State != lease.Idle
			}
		})
		if !held {
			return
		}
	}
}

const (
	forever  = time.Duration(1<<63 - 1)
	partPoll = time.Millisecond
)
