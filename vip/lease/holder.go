package lease

import (
	"maps"
	"slices"
	"time"
)

// State is how far a member is with holding the address.
type State uint8

// The states of a member. They follow one another in this order.
const (
	Idle      State = iota // it was not told to hold the address, or pauses
	Asking                 // it asks in rounds; it holds the address while its deadline has not passed
	Silencing              // the kernel is to stop answering
	Removing               // the address is to be removed
)

func (s State) String() string { return [...]string{"idle", "asking", "silencing", "removing"}[s] }

// holder asks for the address, and gives it back.
type holder struct {
	Settings
	own      *promiser
	told     bool
	state    State
	number   uint64        // of the latest round
	began    time.Duration // when it was, before anybody was asked
	promised []Member      // who has promised in it
	refused  map[Member]Message
	whole    time.Duration // when the last whole round began, or the first one of this claim
	until    time.Duration // the deadline that was given to the caller; 0: none since the last release
	pause    time.Duration // it does not ask before
}

func (h *holder) tell(hold bool, now time.Duration) Step {
	h.told = hold
	if !hold && h.state == Asking {
		return h.giveUp(now)
	}
	return h.turn(now)
}

// turn begins rounds. Without a whole one for a lease it stops asking for longer than promises last: its questions may arrive
// though no answers come back, and then nobody else could have the address.
func (h *holder) turn(now time.Duration) Step {
	switch {
	case h.state == Idle && h.wants() && now >= h.pause:
		h.state, h.whole = Asking, now
		return h.ask(now)
	case h.state == Asking && now-h.whole >= h.Lease:
		return h.giveUp(now + h.Lease + h.Random(h.Lease))
	case h.state == Asking && now-h.began >= h.Lease/rounds:
		return h.ask(now)
	}
	return Step{}
}

func (h *holder) wants() bool { return h.told && h.own.list.has(h.Self) }

// adopted begins a round with the members of the new list.
func (h *holder) adopted(now time.Duration) Step {
	switch {
	case h.state != Asking:
		return h.turn(now)
	case !h.wants():
		return h.giveUp(now)
	}
	return h.ask(now)
}

func (h *holder) next() (time.Duration, bool) {
	switch h.state {
	case Idle:
		return h.pause, h.wants()
	case Asking:
		return min(h.whole+h.Lease, h.began+h.Lease/rounds), true
	}
	return 0, false // it is for the caller to go on
}

func (h *holder) round() Round { return Round{h.Incarnation, h.number} }

// ask begins a round, with the member itself: without its own promise it does not ask the others.
func (h *holder) ask(now time.Duration) Step {
	h.number++
	h.began, h.promised, h.refused = now, nil, map[Member]Message{}
	own, _ := h.own.ask(h.Self, h.message(Ask), now)
	step := h.take(h.Self, own, now)
	if h.state == Asking {
		step.Send = append(step.Send, h.toOthers(Ask)...)
	}
	return step
}

func (h *holder) message(kind Kind) Message {
	return Message{Kind: kind, Round: h.round(), List: h.own.list.Number}
}

func (h *holder) toOthers(kind Kind) (all []Sent) {
	for _, m := range h.own.list.Members {
		if m != h.Self {
			all = append(all, Sent{m, h.message(kind)})
		}
	}
	return all
}

// take counts an answer, if it is to the round that runs.
func (h *holder) take(from Member, m Message, now time.Duration) Step {
	if h.state != Asking || m.Round != h.round() || !h.own.list.has(from) {
		return Step{}
	}
	if m.Kind == Refuse {
		return h.refusedBy(from, m, now)
	}
	delete(h.refused, from)
	if !slices.Contains(h.promised, from) {
		h.promised = append(h.promised, from)
	}
	deadline := h.began + h.Lease - h.Margin
	if len(h.promised) < h.majority() || deadline <= now || deadline <= h.until {
		return Step{}
	}
	h.whole, h.until = h.began, deadline
	return Step{Answer: deadline}
}

func (h *holder) majority() int { return len(h.own.list.Members)/2 + 1 }

// refusedBy gives up a claim that cannot get a majority, so that of two claimants one can. A holder goes on until its deadline.
func (h *holder) refusedBy(from Member, m Message, now time.Duration) Step {
	if !slices.Contains(h.promised, from) {
		h.refused[from] = m
	}
	_, alone := h.refused[h.Self]
	possible := !alone && len(h.own.list.Members)-len(h.refused) >= h.majority()
	if possible || now < h.until {
		return Step{}
	}
	return h.giveUp(now + h.Lease/rounds/2 + h.Random(h.Lease/rounds))
}

// giveUp ends the round that runs, and begins the release, which the caller's words let go on. Who has had no deadline has
// nothing to silence.
func (h *holder) giveUp(pause time.Duration) Step {
	h.pause = pause
	if h.until == 0 {
		return h.release()
	}
	h.state = Silencing
	return Step{Silence: true}
}

func (h *holder) silenced() Step {
	if h.state != Silencing {
		return Step{}
	}
	h.state = Removing
	return Step{Remove: true}
}

func (h *holder) removed() Step {
	if h.state != Removing {
		return Step{}
	}
	h.until = 0
	return h.release()
}

// release tells all members that their promises are over.
func (h *holder) release() Step {
	h.state = Idle
	h.own.release(h.Self, h.round())
	return Step{Send: h.toOthers(Release)}
}

func (h *holder) refusals() map[Member]Message { return maps.Clone(h.refused) }
