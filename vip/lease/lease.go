// Package lease decides until when this host may answer for one virtual address, so that no two hosts ever answer for it.
// It is pure: the time, messages and random numbers are passed in, what is to be done is returned, and nothing is kept on
// disk. A caller with several addresses has one Lease for each.
//
// The rules. Each member promises the address to one member at a time, for Limits.Lease by its own clock, and promises it to
// nobody within Limits.Lease of its start, because it may have forgotten a promise. A claimant notes the time, asks all
// members in a numbered round, and with the promises of a majority, its own among them, it may answer until that time plus
// Limits.Lease less Limits.Margin. Promises of older rounds do not count. A holder asks again five times in each lease.
//
// Why two never answer. Two majorities have a member in common. It promises the address to the second holder only when its
// promise to the first has ended, by a release or by time. The first holder counts from before it asked, which is before
// that member promised, so its deadline comes first, if clocks differ by less than the margin. The deadline is compared by
// the kernel for each packet: a holder that is stopped, swapped out or dead does not answer past it.
//
// What the caller has to do:
//   - The time is CLOCK_BOOTTIME. It is read after a message was received and before anything is sent. It never goes back.
//   - What a Step wants is done in the order of its fields, and before what a later Step wants. Messages may be lost, late,
//     doubled and in any order. Who has sent a message has been proved before Receive is called.
//   - Answer goes into the kernel as it is, an absolute time, never as a duration from now.
//   - Silenced is called when the kernel has no deadline any more, Removed when no interface has the address. Others are told
//     only after both, so that the next may claim at once. If a caller never calls them, the promises end by time.
//   - Incarnation is a random number of this start, because round numbers start again from one.
//   - Who should ask is decided elsewhere, and given to Tell. Two that are told at once harm nobody.
//
// Members change by numbered lists, decided elsewhere, each of which has one member more or one less than the one before: so
// majorities of the two have a member in common. Questions have the number of the asker's list, and who has adopted a later
// one refuses them. The list after the next could be without a common member: it may be decided only once the next has
// settled, which is Limits.Lease and Limits.Margin after a majority of its members has adopted it. By then no holder of an
// older list has a deadline left. A list is adopted once it is in the caller's lasting store, from where New gets it after a
// restart: with an older one than it had adopted, two might answer.
package lease

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// DefaultLease is for how long a promise lasts, if wd_lease does not say otherwise.
	DefaultLease = 400 * time.Millisecond
	// DefaultMargin covers what clocks differ by, and packets that have passed the kernel's comparison already.
	DefaultMargin = 30 * time.Millisecond

	rounds    = 5   // so many rounds in a lease: an answer has to come within a fifth of it
	drift     = 500 // two clocks differ by less than one part in so many: each by 1000 ppm
	shortest  = 10 * time.Millisecond
	mostShare = 4 // the margin may take one part in so many of the lease
)

// Limits are the same for all members.
type Limits struct {
	Lease  time.Duration // how long a promise lasts
	Margin time.Duration // by how much the holder stops earlier
}

func (l Limits) check() error {
	switch {
	case l.Lease < shortest:
		return fmt.Errorf("check lease: %v is shorter than %v", l.Lease, shortest)
	case l.Margin <= l.Lease/drift:
		return fmt.Errorf("check margin: %v does not cover clocks that differ by %v in a lease", l.Margin, l.Lease/drift)
	case l.Margin > l.Lease/mostShare:
		return fmt.Errorf("check margin: %v is more than a quarter of the lease of %v", l.Margin, l.Lease)
	}
	return nil
}

// List is who the members are, from some change on.
type List struct {
	Number  uint64
	Members []Member
}

func (l List) has(m Member) bool { return slices.Contains(l.Members, m) }

func (l List) check() error {
	sorted := slices.Clone(l.Members)
	slices.Sort(sorted)
	switch {
	case len(sorted) == 0:
		return errors.New("check members: there are none")
	case sorted[0] < 0:
		return fmt.Errorf("check members: %d is not a member's number", sorted[0])
	case len(slices.Compact(sorted)) != len(l.Members):
		return errors.New("check members: one is there twice")
	}
	return nil
}

// Member is a member's number, pgpool_node_id.
type Member int

// Nobody is who has the promise of a member that has just started.
const Nobody Member = -1

// Round is one time that a member asks. Numbers rise within an incarnation; two incarnations cannot be compared.
type Round struct {
	Incarnation uint64
	Number      uint64
}

// covers tells whether the other round is of the same incarnation, and not later.
func (r Round) covers(other Round) bool {
	return r.Incarnation == other.Incarnation && other.Number <= r.Number
}

// Kind says what a Message is.
type Kind uint8

// What members say to one another.
const (
	Ask     Kind = iota + 1 // promise me the address
	Promise                 // the answer: it is yours for a lease from when I was asked
	Refuse                  // the answer: To has my promise, for Left
	Release                 // I do not answer any more: what you have promised me up to this round is over
)

// Message is between two members. An answer has the round of its question.
type Message struct {
	Kind  Kind
	Round Round
	List  uint64        // of an Ask: its list's number; of a Refuse: the number of the list that is later than the asker's, or 0
	To    Member        // of a Refuse: who has the promise
	Left  time.Duration // of a Refuse: how much of it is left
}

// Sent is a Message, and who gets it.
type Sent struct {
	To      Member
	Message Message
}

// Step is what the caller has to do, in this order.
type Step struct {
	Send    []Sent
	Answer  time.Duration // if not 0, the kernel may answer until then, by CLOCK_BOOTTIME
	Silence bool          // take the deadline from the kernel, then call Silenced
	Remove  bool          // take the address from the interface, then call Removed
}

// Settings are what a Lease is made of.
type Settings struct {
	Limits
	Self        Member
	List        List // the latest that this member has adopted; it need not be in it
	Incarnation uint64
	Random      func(below time.Duration) time.Duration
}

func (s Settings) check() error {
	if s.Random == nil {
		return errors.New("check settings: there is no source of random numbers")
	}
	if err := s.List.check(); err != nil {
		return err
	}
	return s.Limits.check()
}

// Lease is one member's part in one address. It has one owner.
type Lease struct {
	promiser promiser
	holder   holder
}

// New starts without any promise, and makes none for a lease from now.
func New(s Settings, now time.Duration) (*Lease, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	l := &Lease{promiser: promiser{lease: s.Lease, list: s.List, opens: now + s.Lease, to: Nobody, released: map[Member]Round{}}}
	l.holder = holder{Settings: s, own: &l.promiser}
	return l, nil
}

// Receive takes a member's message. Who asks may be a member by a later list only.
func (l *Lease) Receive(from Member, m Message, now time.Duration) Step {
	if from == l.holder.Self {
		return Step{}
	}
	switch m.Kind {
	case Ask:
		if answer, ok := l.promiser.ask(from, m, now); ok {
			return Step{Send: []Sent{{from, answer}}}
		}
	case Release:
		l.promiser.release(from, m.Round)
	case Promise, Refuse:
		return l.holder.take(from, m, now)
	}
	return Step{}
}

// Adopt makes a later list count. What was promised by an older one does not count any more, but for the deadline.
func (l *Lease) Adopt(list List, now time.Duration) (Step, error) {
	if err := list.check(); err != nil || list.Number <= l.promiser.list.Number {
		return Step{}, err
	}
	l.promiser.adopt(list)
	return l.holder.adopted(now), nil
}

// Tell says whether this member should hold the address.
func (l *Lease) Tell(hold bool, now time.Duration) Step { return l.holder.tell(hold, now) }

// Turn does what is due by time. It may be called too often.
func (l *Lease) Turn(now time.Duration) Step { return l.holder.turn(now) }

// Next is when Turn is wanted, if at all before something else happens.
func (l *Lease) Next() (at time.Duration, wanted bool) { return l.holder.next() }

// Silenced says that the kernel does not answer for the address any more.
func (l *Lease) Silenced() Step { return l.holder.silenced() }

// Removed says that no interface has the address any more.
func (l *Lease) Removed() Step { return l.holder.removed() }

// Status is what is shown of a Lease.
type Status struct {
	State    State
	Until    time.Duration // when this member's last deadline is; 0 if it has none
	Promised Member        // who has this member's promise
	Left     time.Duration // how much of it is left
	Refused  map[Member]Message
}

// Status tells who has what, and who has refused in the last round.
func (l *Lease) Status(now time.Duration) Status {
	to, left := l.promiser.left(now)
	return Status{State: l.holder.state, Until: l.holder.until, Promised: to, Left: left, Refused: l.holder.refusals()}
}
