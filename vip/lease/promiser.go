package lease

import (
	"maps"
	"time"
)

// promiser keeps this member's one promise.
type promiser struct {
	lease    time.Duration
	list     List
	opens    time.Duration // it promises nobody before, because it may have forgotten what it had promised
	to       Member
	round    Round // the latest round that it has promised
	until    time.Duration
	released map[Member]Round // the latest round that each member has released
}

// ask answers a member's question. It has no answer to a round that is over already: nobody waits for one.
func (p *promiser) ask(from Member, m Message, now time.Duration) (answer Message, ok bool) {
	r := m.Round
	if m.List < p.list.Number {
		return Message{Kind: Refuse, Round: r, List: p.list.Number, To: Nobody}, true
	}
	if m.List == p.list.Number && !p.list.has(from) || p.over(from, r) {
		return Message{}, false
	}
	if to, left := p.left(now); left > 0 && !p.has(from, r) {
		return Message{Kind: Refuse, Round: r, To: to, Left: left}, true
	}
	p.to, p.round, p.until = from, r, now+p.lease
	return Message{Kind: Promise, Round: r}, true
}

// left is who has the promise, and how much of it is left. Nobody has it for a lease from the start.
func (p *promiser) left(now time.Duration) (Member, time.Duration) {
	if now < p.opens {
		return Nobody, p.opens - now
	}
	if now < p.until {
		return p.to, p.until - now
	}
	return Nobody, 0
}

// has tells whether the promise is this member's already. Another incarnation of it counts as somebody else: which one is the
// later cannot be told, so a release by the one could free what the other counts on.
func (p *promiser) has(from Member, r Round) bool {
	return p.to == from && p.round.Incarnation == r.Incarnation
}

// over tells whether a question comes late: its round was released, or a later one has been promised. A promise now would
// keep others waiting for nothing, or forget which round a release has to name.
func (p *promiser) over(from Member, r Round) bool {
	return p.released[from].covers(r) || p.has(from, r) && r.Number < p.round.Number
}

// release ends the promise, unless it is for a later round than the one that is released.
func (p *promiser) release(from Member, r Round) {
	if p.list.has(from) && !p.released[from].covers(r) {
		p.released[from] = r
	}
	if p.to == from && r.covers(p.round) {
		p.to, p.until = Nobody, 0
	}
}

func (p *promiser) adopt(list List) {
	p.list = list
	maps.DeleteFunc(p.released, func(m Member, _ Round) bool { return !list.has(m) })
}
