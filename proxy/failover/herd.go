// Package failover decides who is primary. It is pure: values go in, values come out.
//
// A Herd is what all members (pgherds) have agreed on. It changes only by Commands,
// which Apply carries out alike for every member, and which are made to last before
// anybody acts on them. Decide tells the leader the next Step: a Command to propose,
// or Acts to carry out (fence, revoke, promote ...). It looks at the herd, at what members
// see of the nodes (Sights) and at what came of the acts (Progress), and remembers
// nothing: who takes over from a leader asks Decide and goes on. Choose is the rule by
// which a standby is promoted, or none.
//
// Times are durations on clocks that are never set. The only dates (Command.At,
// Node.Since) are for people, and nothing is decided by them.
package failover

import (
	"encoding/json"
	"fmt"
	"slices"
)

// None is no node's index.
const None = -1

// Phase is where the herd stands. Only enter changes it.
//
//	phase      command               becomes            and
//	steady     Primary(n, timeline)  steady(e+1, n)     only before the first primary, in doubt, or of the same node
//	steady     Fail(p)               electing(e+1)      everybody fences p
//	steady     Drain(n)              draining           p goes on; n is wanted
//	draining   Undo                  steady             p goes on
//	draining   Fail(p)               electing(e+1)      n stays wanted
//	electing   Candidate(n)          promoting(n)       n alone is promoted in this epoch
//	electing   Back(p)               steady(e+1, p)     nothing was promoted; p is primary again
//	electing   Fail(n)               electing(e+1)      the election begins anew
//	promoting  Primary(n, timeline)  steady(n)          the timeline is newer
//	promoting  Fail(n)               electing(e+1)      nobody wrote to n through us
type Phase string

// The phases.
const (
	Steady    Phase = "steady"    // there is a primary; or none has been found since the first start
	Electing  Phase = "electing"  // the primary has failed: fence, revoke, ask for positions, choose
	Promoting Phase = "promoting" // one standby is being promoted
	Draining  Phase = "draining"  // a switchover: the primary hands over to a standby
)

// Status is what is done with a node.
type Status string

// The statuses. A node that the herd does not list was never seen: it is as one that
// is down, and comes up by itself.
const (
	Up          Status = "up"         // used
	Suspect     Status = "suspect"    // used while its verdict is not certain; only Seen tells it, it does not last
	Down        Status = "down"       // not used, because it is dead or does not stream
	Quarantined Status = "quarantine" // it answers, but its data are not the herd's; also what a minority cannot reach
	Recovering  Status = "recovering" // being recovered or attached: up once it streams
	Detached    Status = "detached"   // taken out by an operator; only an operator's Attach ends it
)

// Node is what was decided of a node.
type Node struct {
	Index  int    `json:"node"`
	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`    // who detached it
	Since  string `json:"since,omitempty"` // the date of the command that gave it this status, for people

	NotStreaming bool   `json:"not_streaming,omitempty"` // Down though it answered: it followed nobody
	Timeline     uint32 `json:"timeline,omitempty"`      // the herd's, when it was last up
	Returns      int    `json:"returns,omitempty"`       // how often it came up by itself on this timeline
}

// SyncSet is the primary's synchronous_standby_names. The zero value is asynchronous
// replication.
type SyncSet struct {
	First bool     `json:"first,omitempty"` // FIRST k; else ANY k
	K     int      `json:"k,omitempty"`     // acknowledgements for a commit
	Names []string `json:"names,omitempty"` // as PostgreSQL has them
	Nodes []int    `json:"nodes,omitempty"` // those that are nodes of ours
}

// size counts names that are no node of ours as well: they may have acknowledged.
func (s SyncSet) size() int { return max(len(s.Names), len(s.Nodes)) }

// Suffices says that every commit can be acknowledged, as synchronous_standby_names wants it, with no standby streaming from
// the primary but this one.
func (h *Herd) Suffices(standby int) bool {
	return !slices.ContainsFunc(append(slices.Clone(h.Before), h.Sync), func(s SyncSet) bool {
		return s.K > 1 || s.K == 1 && !slices.Contains(s.Nodes, standby)
	})
}

func (s SyncSet) equal(o SyncSet) bool {
	return s.First == o.First && s.K == o.K && slices.Equal(s.Names, o.Names) && slices.Equal(s.Nodes, o.Nodes)
}

func (s SyncSet) String() string {
	if s.K == 0 {
		return "asynchronous"
	}
	return fmt.Sprintf("%s %d of %d", map[bool]string{true: "FIRST", false: "ANY"}[s.First], s.K, s.size())
}

// Herd is what all members have agreed on. The zero value is not one: use New or Load.
type Herd struct {
	Epoch     uint64 `json:"epoch"`
	Phase     Phase  `json:"phase"`
	Primary   int    `json:"primary"`   // None while electing and promoting
	Former    int    `json:"former"`    // the primary that failed, while electing and promoting
	Candidate int    `json:"candidate"` // being promoted; while draining and electing: wanted by a switchover
	Timeline  uint32 `json:"timeline"`  // the last primary's
	System    uint64 `json:"system,string"`
	Doubt     bool   `json:"doubt,omitempty"`    // read from a file, and not yet confirmed by what is seen
	Promoted  bool   `json:"promoted,omitempty"` // the primary was promoted in this epoch

	Sync      SyncSet   `json:"sync"`                      // as last seen
	Before    []SyncSet `json:"sync_before,omitempty"`     // while it changes, these count as well
	ChangedAt uint64    `json:"sync_changed_at,omitempty"` // the primary's position when it changed

	HandedOver bool `json:"handed_over,omitempty"` // in this election: Former was stopped as a standby, and acknowledges nothing any more

	Absent []int  `json:"absent,omitempty"` // out of use already when the primary failed
	Proven uint64 `json:"proven,omitempty"` // in this election: who has this position has every acknowledged commit
	Tried  []int  `json:"tried,omitempty"`  // in this election: candidates that failed, though one may have been promoted

	Nodes []Node `json:"nodes"` // by index
}

// New is the herd at the very first start: epoch 0, nobody has been seen.
func New() Herd { return Herd{Phase: Steady, Primary: None, Former: None, Candidate: None} }

// Load reads a status file. What it says is in doubt until it is seen; see doubted.
func Load(file []byte) (Herd, error) {
	h := New()
	if err := json.Unmarshal(file, &h); err != nil {
		return New(), fmt.Errorf("read the status file: %w", err)
	}
	h.Doubt = h.Epoch > 0
	return h, h.check()
}

// check says what no herd may be.
func (h *Herd) check() error {
	led := h.Phase == Steady || h.Phase == Draining
	switch {
	case !slices.Contains([]Phase{Steady, Electing, Promoting, Draining}, h.Phase):
		return fmt.Errorf("read the herd: there is no phase %q", h.Phase)
	case h.Epoch == 0 && (h.Primary != None || h.Phase != Steady), h.Epoch > 0 && led != (h.Primary != None):
		return fmt.Errorf("read the herd: primary %d while %s in epoch %d", h.Primary, h.Phase, h.Epoch)
	case !led && h.Former == None, h.Phase == Promoting && h.Candidate == None:
		return fmt.Errorf("read the herd: %s, but nobody failed or is promoted", h.Phase)
	}
	return nil
}

// Node finds a node; false if it was never decided on.
func (h *Herd) Node(index int) (Node, bool) {
	for _, n := range h.Nodes {
		if n.Index == index {
			return n, true
		}
	}
	return Node{Index: index, Status: Down, Reason: "it was not seen yet"}, false
}

func (h *Herd) status(index int) Status {
	n, _ := h.Node(index)
	return n.Status
}
