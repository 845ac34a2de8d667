package vip

import (
	"time"

	"pgherd/vip/lease"
)

// Status is what is shown of a member.
type Status struct {
	Self      int
	Leader    int // licence.Nobody if none is known
	Leads     bool
	Term      uint64
	Licence   time.Duration // how much of it is left; 0: there is none
	Enforced  string        // how the kernel enforces leases; "": it does not
	Why       string        // why it does not; "" if there are no addresses
	Members   []MemberStatus
	Addresses []AddressStatus
}

// MemberStatus is what is known of a member.
type MemberStatus struct {
	Member
	Heard time.Duration // how long ago; negative: never
}

// AddressStatus is this member's part in an address.
type AddressStatus struct {
	Address  string
	State    lease.State
	Left     time.Duration // until when this member may answer
	Promised int           // to whom it has promised the address; lease.Nobody: to nobody
	For      time.Duration // how much of that is left
}

// Status is that of now.
func (v *VIP) Status() (s Status) {
	v.ask(func() {
		now := v.set.Clock()
		s = Status{Self: v.set.Self, Leader: v.leader(), Leads: v.standing.Leads, Term: v.standing.Term, Licence: max(v.licence.Until()-now, 0)}
		for _, one := range v.kernel.by {
			s.Enforced = one.Mode().String()
		}
		if v.kernel.why != nil && len(v.grips) > 0 {
			s.Why = v.kernel.why.Error()
		}
		for _, m := range v.set.Members {
			heard := time.Duration(-1)
			if at, known := v.heard[m.Number]; known {
				heard = now - at
			}
			if m.Number == v.set.Self {
				heard = 0
			}
			s.Members = append(s.Members, MemberStatus{m, heard})
		}
		for i, g := range v.grips {
			is := g.lease.Status(now)
			s.Addresses = append(s.Addresses, AddressStatus{v.set.Addresses[i].String(), is.State, max(is.Until-now, 0), int(is.Promised), is.Left})
		}
	})
	return s
}
