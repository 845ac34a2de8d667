package failover

import (
	"cmp"
	"fmt"
	"slices"
)

// Apply carries out a command: the same for every member. What is refused changes
// nothing, and the error says why.
func Apply(h Herd, c Command) (Herd, error) {
	if err := h.allows(&c); err != nil {
		return h, err
	}
	h.Nodes = slices.Clone(h.Nodes) // the old herd stays as it was
	rules[c.Kind].apply(&h, &c)
	return h, nil
}

func (h *Herd) allows(c *Command) error {
	r, known := rules[c.Kind]
	refused := func(format string, args ...any) error {
		return fmt.Errorf("apply %s in epoch %d: %s", c, h.Epoch, fmt.Sprintf(format, args...))
	}
	switch {
	case !known:
		return refused("there is no such command")
	case c.Epoch != h.Epoch:
		return refused("it was decided in epoch %d", c.Epoch)
	case !slices.Contains(r.phases, h.Phase):
		return refused("not while %s", h.Phase)
	case c.Kind.needsNode() != (c.Node >= 0):
		return refused("node %d is none that it could be about", c.Node)
	case r.statuses != nil && !slices.Contains(r.statuses, h.status(c.Node)):
		return refused("the node is %s", h.status(c.Node))
	}
	if r.refuse != nil {
		if why := r.refuse(h, c); why != "" {
			return refused("%s", why)
		}
	}
	return nil
}

// enter is the one function that changes the phase.
func (h *Herd) enter(p Phase, epoch uint64, primary, candidate int) {
	h.Promoted = p == Steady && h.Phase == Promoting || h.Promoted && epoch == h.Epoch
	h.Phase, h.Epoch, h.Primary, h.Candidate = p, epoch, primary, candidate
	if p == Steady {
		h.Former, h.HandedOver, h.Absent, h.Proven, h.Tried = None, false, nil, 0, nil
	}
}

// set gives a node its status.
func (h *Herd) set(c *Command, s Status) {
	n, known := h.Node(c.Node)
	switch returns := s == Up && n.Status == Down && known; {
	case returns:
		n.Returns++
	case s == Recovering:
		n.Returns = 0
	}
	n.Status, n.Reason, n.Since, n.NotStreaming = s, c.Reason, c.At, c.NotStreaming && s == Down
	n.By = ""
	if s == Detached {
		n.By = c.By
	}
	if s == Up {
		n.Timeline = h.Timeline
	}
	h.put(n)
}

func (h *Herd) put(n Node) {
	i, found := slices.BinarySearchFunc(h.Nodes, n, func(a, b Node) int { return cmp.Compare(a.Index, b.Index) })
	if found {
		h.Nodes[i] = n
		return
	}
	h.Nodes = slices.Insert(h.Nodes, i, n)
}

// fail begins an election. Who was out by then cannot have acknowledged what the
// primary's last answer does not show; who is lost later may have.
func fail(h *Herd, c *Command) {
	wanted := None
	if h.Phase == Draining {
		wanted = h.Candidate
	}
	if h.Phase == Steady || h.Phase == Draining {
		h.Former, h.HandedOver, h.Absent = h.Primary, c.HandedOver, nil
		for _, n := range h.Nodes {
			if n.Index != h.Primary && n.Status != Up && n.Status != Recovering {
				h.Absent = append(h.Absent, n.Index)
			}
		}
	}
	if h.Phase == Promoting {
		h.Tried = append(slices.Clone(h.Tried), c.Node)
	}
	if h.status(c.Node) != Detached && !(c.Standby && h.Phase == Promoting) {
		h.set(c, Down)
	}
	h.enter(Electing, h.Epoch+1, None, wanted)
}

func makeCandidate(h *Herd, c *Command) {
	h.Proven = max(h.Proven, c.Position)
	h.enter(Promoting, h.Epoch, None, c.Node)
}

// makePrimary: a promotion stays in its election's epoch; a primary that is found or
// confirmed begins a new one, so that no server from before is taken for its. Whoever is
// on its timeline has all that was acknowledged before, so its own set alone counts.
func makePrimary(h *Herd, c *Command) {
	epoch := h.Epoch
	if h.Phase == Steady {
		epoch++
		if p := h.Primary; p != None && p != c.Node {
			was := Command{Node: p, Reason: fmt.Sprintf("the primary is node %d", c.Node), At: c.At}
			h.set(&was, Down)
		}
	}
	h.Doubt = false
	h.Timeline, h.System, h.Before, h.ChangedAt = c.Timeline, c.System, nil, 0
	if c.Sync != nil {
		h.Sync = *c.Sync
	}
	h.set(c, Up)
	for i := range h.Nodes {
		n := &h.Nodes[i]
		n.Returns = 0
		if n.Status == Up {
			n.Timeline = c.Timeline
		}
	}
	h.enter(Steady, epoch, c.Node, None)
}

func bringBack(h *Herd, c *Command) {
	h.Doubt = false
	h.set(c, Up)
	h.enter(Steady, h.Epoch+1, c.Node, None)
}

// noteSync: the sets before count as well, until the same set is told again.
func noteSync(h *Herd, c *Command) {
	if c.Sync.equal(h.Sync) {
		h.Before, h.ChangedAt = nil, 0
		return
	}
	h.Before = append(slices.Clone(h.Before), h.Sync)
	h.Sync, h.ChangedAt = *c.Sync, c.Position
}
