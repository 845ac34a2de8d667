// Package licence decides until when a member may let clients write, so that a leader knows when one that it cannot reach has
// stopped. It is pure: time, messages and raft's term are passed in, and what is to be sent is returned.
//
// The rules. A leader notes the time, and asks all members whether its term is theirs. With the yes of a majority, its own
// among them, its term was the latest at that time, and it may grant licences that end Lasts after it. A member notes the time, and asks
// the leader. It is granted what is left, as a duration, and counts that from before it asked, less Margin. So a member that
// hears of no leader, and one whose leader hears of no majority, stops.
//
// Why Unlicensed is right. Licences end at the latest Lasts after a majority has said yes to the term of who granted them.
// A later leader was elected by a majority as well, and the two have a member in common, which said yes before it voted. So
// Lasts and Margin after its election no licence of a former leader holds. Of its own it knows the ends. A member that has
// not fenced what Unlicensed was asked about gets no other one: not from this leader, and not from a later one, which has
// applied the decision that was behind the question.
//
// What the caller has to do:
//   - The time is CLOCK_BOOTTIME, read before anything is sent that a Step wants, and never goes back.
//   - The term is raft's, read after the message was received, and before an answer is sent. It rises before the member votes.
//   - Who has sent a message was proved before. Messages may be lost, late, doubled and in any order.
//   - First is a random number of this start: what was asked before a restart has other numbers.
package licence

import (
	"errors"
	"fmt"
	"time"
)

const (
	// DefaultLasts is how long a licence lasts, and DefaultMargin by how much a member stops earlier: it covers clocks that
	// differ, and requests that have passed the comparison.
	DefaultLasts  = time.Second
	DefaultMargin = 30 * time.Millisecond

	rounds = 10 // so many rounds while a licence lasts
	kept   = 2 * rounds
	drift  = 500 // two clocks differ by less than one part in so many
)

// Kind says what a Message is.
type Kind uint8

// What members say to one another.
const (
	Confirm Kind = iota + 1 // a leader asks: is my term yours?
	Yes                     // it is
	Want                    // a member asks its leader for a licence
	Grant                   // it has one for as long
)

// Message is between two members. An answer has the number of its question.
type Message struct {
	Kind   Kind
	Number uint64
	Term   uint64        // of Confirm
	Fenced uint64        // of Want: the last epoch that the member has fenced
	For    time.Duration // of Grant
}

// Sent is a Message, and who gets it.
type Sent struct {
	To      int
	Message Message
}

// Settings are what a Licence is made of; the same for all members, but for Self and First.
type Settings struct {
	Self    int
	Members []int
	Lasts   time.Duration
	Margin  time.Duration
	First   uint64
}

// Nobody is the leader where none is known.
const Nobody = -1

// Licence is one member's part. It has one owner.
type Licence struct {
	set    Settings
	number uint64
	next   time.Duration // when the next round begins
	fenced uint64
	asked  asked
	until  time.Duration
	leader leader
}

// New starts without a licence.
func New(s Settings) (*Licence, error) {
	switch {
	case len(s.Members) == 0:
		return nil, errors.New("check members: there are none")
	case s.Margin <= s.Lasts/drift, s.Margin > s.Lasts/2:
		return nil, fmt.Errorf("check margin: %v does not suit a licence of %v", s.Margin, s.Lasts)
	}
	return &Licence{set: s, number: s.First, leader: leader{ends: map[int]time.Duration{}}}, nil
}

// Until is when this member has to stop, on its clock.
func (l *Licence) Until() time.Duration { return l.until }

// Fenced says that this member lets nobody write any more to whom an epoch up to this one has fenced.
func (l *Licence) Fenced(epoch uint64) { l.fenced = max(l.fenced, epoch) }

// Lead says that this member was elected for a term, and has applied what was decided before, up to an epoch; term 0: it
// leads no more.
func (l *Licence) Lead(term, epoch uint64, now time.Duration) {
	if term != l.leader.term {
		l.leader.enter(term, epoch, now)
		l.next = now
	}
}

// Turn begins a round if one is due: with the leader, if another member leads, or with all, as the leader of this term. The
// term is read after the time.
func (l *Licence) Turn(leader int, term uint64, now time.Duration) []Sent {
	if now < l.next {
		return nil
	}
	l.next = now + l.set.Lasts/rounds
	l.number++
	switch {
	case l.leader.term != 0 && l.leader.term == term:
		return l.confirm(now)
	case leader != Nobody && leader != l.set.Self:
		l.asked.add(l.number, now)
		return []Sent{{leader, Message{Kind: Want, Number: l.number, Fenced: l.fenced}}}
	}
	return nil
}

// Next is when Turn is wanted.
func (l *Licence) Next() time.Duration { return l.next }

// Receive takes a member's message; term is raft's now.
func (l *Licence) Receive(from int, m Message, term uint64, now time.Duration) []Sent {
	switch m.Kind {
	case Confirm:
		if m.Term == term {
			return []Sent{{from, Message{Kind: Yes, Number: m.Number}}}
		}
	case Yes:
		l.yes(from, m.Number)
	case Want:
		return l.grant(from, m, now)
	case Grant:
		if at, found := l.asked.at(m.Number); found && m.For <= l.set.Lasts {
			l.until = max(l.until, at+m.For-l.set.Margin)
		}
	}
	return nil
}

// asked are the times of the last questions, by their numbers.
type asked struct {
	numbers [kept]uint64
	times   [kept]time.Duration
}

func (a *asked) add(number uint64, now time.Duration) {
	a.numbers[number%kept], a.times[number%kept] = number, now
}

func (a *asked) at(number uint64) (time.Duration, bool) {
	return a.times[number%kept], number != 0 && a.numbers[number%kept] == number
}
