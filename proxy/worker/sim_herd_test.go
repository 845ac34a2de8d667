package worker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
)

// simWait is how long sessions wait for a primary, which is longer than a run lasts.
const simWait = 100 * time.Hour

// simHerd has two nodes, which are lost and replaced. Their servers end between any two messages.
type simHerd struct {
	primary int
	alive   [2]bool
	phase   int // phase of a failover: 0 none, 1 the primary is being fenced, 2 no node is primary, 3 the old primary is still down
	acks    int // number of workers that have fenced the old primary
	pins    bool
	mute    bool // there is no licence to write
	ends    simEnds
}

// fate is the part of a server that tells how it is lost with its node.
type fate struct {
	node    int
	lost    bool // the server is lost, with its node or by itself, and does nothing more
	fenced  bool
	arrived int // number of bytes that it had received when it was fenced
	ends    simEnds
}

// loses makes a run in which clients lose servers, and in which nothing else breaks.
func (s *sim) loses() {
	s.herd.pins = s.random.IntN(3) == 0
	s.net.ResetOneIn, s.breaking = 0, false
	s.patient = s.random.IntN(2) == 0
	s.rounds, s.apart = simLosses, 40
	if s.herd.pins {
		s.rounds = append(s.rounds, simPins...)
	}
	if *simOnly == "blocks" {
		s.mode, s.patient, s.rounds = pool.Transaction, true, simBlocks
	}
}

// belongsTo makes a server one of its node, which may end at any moment.
func (h *simHerd) belongsTo(s *sim, v *simServer) {
	v.faulty, v.standby, v.ends = false, v.node != h.primary, h.ends
	v.marked = s.mode == pool.Session && !v.standby
	if s.random.IntN(2) == 0 {
		v.dies = func() bool {
			_, lacks := h.ends.lacks(v.last, v.out)
			return s.random.IntN(80) == 0 || lacks && s.random.IntN(4) == 0
		}
	}
}

// die ends a server between two messages. The last part of what it has sent may be lost.
func (v *simServer) die(random *rand.Rand) {
	if next, lacks := v.ends.lacks(v.last, v.out); lacks {
		v.ends[next.name], v.out = true, v.out[:next.told]
	} else {
		v.losesSome(random)
	}
	_, _ = v.peer.Write(v.out)
	v.out, v.lost = nil, true
	if random.IntN(3) == 0 {
		v.peer.Reset()
	} else {
		v.peer.CloseWrite()
	}
}

// losesSome loses the last part of what the server has said.
func (v *simServer) losesSome(random *rand.Rand) {
	switch random.IntN(8) {
	case 0, 1, 2:
		v.out = nil
	case 3, 4:
		v.out = v.out[:messages(v.out[:random.IntN(len(v.out)+1)])]
	case 5: // a message is torn
		v.out = v.out[:random.IntN(len(v.out)+1)]
	}
}

// checkFence checks that no server of an older epoch receives anything (I8).
func (v *simServer) checkFence() error {
	if v.fenced && v.peer.Arrived() > v.arrived {
		return fmt.Errorf("server %d of node %d got %d bytes after its node was fenced", v.pid, v.node, v.peer.Arrived()-v.arrived)
	}
	return nil
}

// turn sometimes begins a failover, and carries it on.
func (h *simHerd) turn(s *sim) error {
	h.license(s)
	switch {
	case h.phase == 0 && s.random.IntN(2500) == 0:
		h.fail(s)
	case h.phase == 1 && h.acks == len(s.workers.all):
		h.phase = 2
		h.fenced(s)
	case h.phase == 2 && s.random.IntN(300) == 0:
		h.promote(s)
	case h.phase == 3 && s.random.IntN(1000) == 0:
		h.phase, h.alive[1-h.primary] = 0, true
		h.publish(s, 0)
	}
	return nil
}

// license sometimes lets the licence to write end, for a while. Clients only wait because of that.
func (h *simHerd) license(s *sim) {
	switch {
	case !h.mute && s.random.IntN(2000) == 0:
		h.mute = true
		s.workers.License(0)
	case h.mute && s.random.IntN(300) == 0:
		h.mute = false
		s.workers.License(Forever)
	}
}

// fenced records, once all workers have fenced the node, how much its servers have received. Servers
// that were closed before that may still receive what was on its way.
func (h *simHerd) fenced(s *sim) {
	for _, v := range s.servers {
		if v.node == h.primary && !v.over && !v.dead && (v.peer.Closed() != nil || s.workers.processes.Has(v.node, v.pid)) {
			v.fenced, v.arrived = true, v.peer.Arrived()
		}
	}
}

// fail loses the primary. Some of its servers end at once, the others never answer again.
func (h *simHerd) fail(s *sim) {
	h.phase, h.acks, h.alive[h.primary] = 1, 0, false
	for _, v := range s.servers {
		if v.node == h.primary && !v.over && !v.lost {
			if v.lost, v.dead = true, s.random.IntN(2) == 0; v.dead {
				v.peer.Reset()
			}
		}
	}
	h.publish(s, 1)
	s.workers.fence(h.primary, s.view.Epoch, func() { h.acks++ })
}

// promote makes the other node the primary.
func (h *simHerd) promote(s *sim) {
	h.phase, h.primary = 3, 1-h.primary
	for _, v := range s.servers {
		if v.node == h.primary {
			v.standby = false
		}
	}
	h.publish(s, 0)
}

// publish publishes a View of the nodes as they are now.
func (h *simHerd) publish(s *sim, later uint64) {
	view := &nodes.View{Epoch: s.view.Epoch + later}
	for i := range h.alive {
		n := nodes.Node{Index: i, Role: nodes.Standby, Status: nodes.Up, Weight: float64(1 + i)}
		if i == h.primary {
			n.Role = nodes.Primary
		}
		if !h.alive[i] {
			n.Status = nodes.Down
		}
		n.Probed, n.Reachable, n.Found = true, h.alive[i], n.Role
		view.Nodes = append(view.Nodes, n)
	}
	s.view = view
	s.workers.Publish(view)
}

// auditRows compares the rows that are written with what clients were told. A row that was reported as
// written is there once, and a row that was reported as lost is not there.
func (s *sim) auditRows() (err error) {
	for _, c := range s.clients {
		err = errors.Join(err, c.loss.audit(c, s.database(c.database)))
	}
	return err
}

func (l *simLoss) audit(c *simClient, d *simDatabase) error {
	for row, state := range l.rows {
		switch times := d.rows[row]; {
		case times > 1:
			return fmt.Errorf("row %[2]s of client %[1]d was written %[3]d times, want once", c.id, row, times)
		case state == rowOpen || l.unknown[row] || c.struck:
		case state == rowDone && times == 0:
			return fmt.Errorf("client %d was told that row %s is written, but it is not there", c.id, row)
		case state == rowLost && times > 0:
			return fmt.Errorf("client %d was told that row %s is lost, but it is written", c.id, row)
		}
	}
	return nil
}

// expectLosses makes a client accept the answers that follow the loss of a server.
func (h *simHerd) expectLosses(s *sim, c *simClient) {
	c.loss = &simLoss{rows: map[string]rowState{}, unknown: map[string]bool{}, pins: h.pins}
	if s.mode == pool.Statement {
		for i := len(c.rounds) - 1; i >= 0; i-- {
			if strings.Contains(string(c.rounds[i]), " COMMIT ") || strings.Contains(string(c.rounds[i]), " ROLLBACK ") {
				c.rounds = append(c.rounds[:i], c.rounds[i+1:]...)
			}
		}
	}
}
