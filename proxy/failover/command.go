package failover

import (
	"fmt"
	"slices"
)

// Kind is what a command does.
type Kind string

// The commands; Phase and the table rules tell when each is allowed.
const (
	FailNode       Kind = "fail"       // the primary, or the candidate, is lost
	MakeCandidate  Kind = "candidate"  // this standby is going to be promoted
	MakePrimary    Kind = "primary"    // it is the primary, on this timeline
	BringBack      Kind = "back"       // the primary that failed is primary again
	DrainTo        Kind = "drain"      // switch over to this standby
	UndoDrain      Kind = "undo"       // the switchover is off
	MarkDown       Kind = "down"       // a standby is not used
	MarkUp         Kind = "up"         // a standby is used
	DetachNode     Kind = "detach"     // by an operator
	AttachNode     Kind = "attach"     // by an operator, or by recovery as it begins
	QuarantineNode Kind = "quarantine" // its data are not the herd's
	ReleaseNode    Kind = "release"    // they are again
	NoteSync       Kind = "sync"       // the synchronous set has changed; told again: the change is over
	RemoveNode     Kind = "remove"     // it is no longer configured
)

// Command changes a Herd. Reason is for people, and says what it was decided by.
type Command struct {
	Kind   Kind   `json:"kind"`
	Epoch  uint64 `json:"epoch"` // in which it was decided
	Node   int    `json:"node"`  // None where there is none
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"` // the operator
	At     string `json:"at,omitempty"` // a date for people; the proposer fills it in

	Timeline     uint32   `json:"timeline,omitempty"`      // of MakePrimary
	System       uint64   `json:"system,omitempty,string"` // of MakePrimary
	Position     uint64   `json:"position,omitempty"`      // of MakeCandidate: Herd.Proven; of NoteSync: the primary's
	NotStreaming bool     `json:"not_streaming,omitempty"` // of MarkDown
	Standby      bool     `json:"standby,omitempty"`       // of FailNode: the candidate is a standby still, and stays what it is
	HandedOver   bool     `json:"handed_over,omitempty"`   // of FailNode: the primary was stopped for a switchover, and starts as a standby
	Sync         *SyncSet `json:"sync,omitempty"`          // of NoteSync, and of MakePrimary where it is known
}

func (c Command) String() string {
	text := string(c.Kind)
	if c.Node != None {
		text += fmt.Sprint(" ", c.Node)
	}
	if c.Timeline != 0 {
		text += fmt.Sprint(" timeline ", c.Timeline)
	}
	if c.Standby {
		text += " standby"
	}
	if c.Kind == NoteSync && c.Sync != nil {
		text += " " + c.Sync.String()
	}
	if c.By != "" {
		text += " by " + c.By
	}
	return text
}

// rule is when a command is allowed: in these phases, of a node with one of these
// statuses (nil: any), if refuse has nothing against it.
type rule struct {
	phases   []Phase
	statuses []Status
	refuse   func(*Herd, *Command) string // why not; "" if nothing is against it
	apply    func(*Herd, *Command)
}

var (
	always   = []Phase{Steady, Electing, Promoting, Draining}
	electing = []Phase{Electing}
)

// rules is the closed set of commands. What happens to the node in the middle of a
// failover (the primary, the candidate) is for the commands above the line alone.
var rules = map[Kind]rule{
	FailNode:      {always, nil, refuseFail, fail},
	MakeCandidate: {electing, []Status{Up, Down, Quarantined}, refuseCandidate, makeCandidate},
	MakePrimary:   {[]Phase{Promoting, Steady}, nil, refusePrimary, makePrimary},
	BringBack:     {electing, nil, refuseBack, bringBack},
	DrainTo:       {[]Phase{Steady}, []Status{Up}, refuseDrain, func(h *Herd, c *Command) { h.enter(Draining, h.Epoch, h.Primary, c.Node) }},
	UndoDrain:     {[]Phase{Draining}, nil, nil, func(h *Herd, _ *Command) { h.enter(Steady, h.Epoch, h.Primary, None) }},
	NoteSync:      {[]Phase{Steady, Draining}, nil, refuseSync, noteSync},
	// ----
	MarkDown:       {always, []Status{Up, Quarantined, Recovering}, refuseLeading, func(h *Herd, c *Command) { h.set(c, Down) }},
	MarkUp:         {[]Phase{Steady, Draining}, []Status{Down, Recovering}, refuseUp, func(h *Herd, c *Command) { h.set(c, Up) }},
	ReleaseNode:    {[]Phase{Steady, Draining}, []Status{Quarantined}, refuseUp, func(h *Herd, c *Command) { h.set(c, Up) }},
	QuarantineNode: {always, []Status{Up, Down, Recovering}, refuseLeading, func(h *Herd, c *Command) { h.set(c, Quarantined) }},
	DetachNode:     {always, nil, refuseDetach, func(h *Herd, c *Command) { h.set(c, Detached) }},
	AttachNode:     {always, []Status{Down, Quarantined, Detached, Recovering}, refuseAttach, func(h *Herd, c *Command) { h.set(c, Recovering) }},
	RemoveNode:     {always, nil, refuseLeading, func(h *Herd, c *Command) { h.Nodes = slices.DeleteFunc(h.Nodes, c.isOf) }},
}

func (c *Command) isOf(n Node) bool { return n.Index == c.Node }

// mostSets limits how many synchronous sets count at once. The one that is refused is
// proposed again; until then the choice knows nothing of it.
const mostSets = 8

// needsNode tells the commands that are about a node.
func (k Kind) needsNode() bool { return k != UndoDrain && k != NoteSync }

// Refusals. A node in the middle of a failover is led there by the phase alone.

func refuseLeading(h *Herd, c *Command) string {
	switch {
	case c.Node == h.Primary:
		return "it is the primary"
	case c.Node == h.Candidate && h.Phase != Electing:
		return "it is the one to be promoted"
	}
	return ""
}

func refuseFail(h *Herd, c *Command) string {
	switch {
	case h.Phase == Promoting && c.Node != h.Candidate:
		return fmt.Sprintf("node %d is being promoted", h.Candidate)
	case (h.Phase == Steady || h.Phase == Draining) && c.Node != h.Primary:
		return "it is not the primary"
	case c.HandedOver && h.Phase != Draining:
		return "it was asked to hand over to nobody"
	}
	return ""
}

func refuseCandidate(h *Herd, c *Command) string {
	if c.Node == h.Former {
		return "it is the primary that failed: it can only come back"
	}
	return ""
}

func refusePrimary(h *Herd, c *Command) string {
	switch {
	case c.System == 0 || c.Timeline == 0:
		return "its system or its timeline is not known"
	case h.System != 0 && c.System != h.System:
		return fmt.Sprintf("its system is %d and the herd's is %d", c.System, h.System)
	case h.Phase == Promoting && c.Node != h.Candidate:
		return fmt.Sprintf("node %d is the one to be promoted", h.Candidate)
	case h.Phase == Promoting && c.Timeline <= h.Timeline:
		return fmt.Sprintf("its timeline %d is not newer than %d: it was not promoted", c.Timeline, h.Timeline)
	case c.Timeline < h.Timeline:
		return fmt.Sprintf("its timeline %d is older than %d", c.Timeline, h.Timeline)
	case h.Phase == Steady && h.Primary != None && !h.Doubt && (c.Node != h.Primary || c.Timeline == h.Timeline):
		return fmt.Sprintf("node %d is the primary: only Fail changes that", h.Primary)
	case h.status(c.Node) == Detached:
		return "an operator has detached it"
	}
	return ""
}

func refuseBack(h *Herd, c *Command) string {
	switch {
	case c.Node != h.Former:
		return fmt.Sprintf("the primary that failed is node %d", h.Former)
	case h.status(c.Node) == Detached:
		return "an operator has detached it"
	}
	return ""
}

func refuseDrain(h *Herd, c *Command) string {
	switch {
	case h.Primary == None || h.Doubt:
		return "there is no primary to switch over from"
	case c.Node == h.Primary:
		return "it is the primary already"
	}
	return ""
}

func refuseUp(h *Herd, c *Command) string {
	switch {
	case h.Primary == None:
		return "there is no primary that it could follow"
	case h.Doubt:
		return "it is not certain yet who is primary"
	}
	return refuseLeading(h, c)
}

func refuseDetach(h *Herd, c *Command) string {
	if c.By == "" {
		return "only an operator detaches"
	}
	return refuseLeading(h, c)
}

func refuseAttach(h *Herd, c *Command) string {
	if c.By == "" {
		return "only an operator attaches"
	}
	return refuseLeading(h, c)
}

func refuseSync(h *Herd, c *Command) string {
	switch {
	case c.Sync == nil:
		return "it names no set"
	case h.Primary == None:
		return "there is no primary whose set it could be"
	case h.Before == nil && c.Sync.equal(h.Sync):
		return "the set is known"
	case len(h.Before) >= mostSets && !c.Sync.equal(h.Sync):
		return fmt.Sprintf("the set has changed %d times, and none of that is over", mostSets)
	}
	return ""
}
