// Package nodes is what is believed of each PostgreSQL node: an immutable View, which
// health publishes and everybody else reads.
package nodes

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Status is what pgherd does with a node.
type Status uint8

const (
	Waiting    Status = iota // never used yet
	Up                       // used
	Down                     // not used
	Quarantine               // up, but not used
)

func (s Status) String() string { return [...]string{"waiting", "up", "down", "quarantine"}[s] }

// Role is a node's role in streaming replication.
type Role uint8

const (
	Unknown Role = iota
	Primary
	Standby
)

func (r Role) String() string { return [...]string{"unknown", "primary", "standby"}[r] }

// MaxIndex is the highest number that a node may have.
const MaxIndex = 127

// Node is one PostgreSQL instance.
type Node struct {
	Index  int
	Host   string // or the folder of a Unix socket
	Port   int
	Weight float64
	Status Status
	Role   Role      // as pgherd uses it
	Since  time.Time // of Status
	Why    string    // what is wrong with a node that is not up

	// The finding of the last probe.
	Reachable        bool      // it answered
	Probed           bool      // whether it was asked at all
	Rejected         bool      // it was there, and did not let the probe in: it is full, or the probe's password is wrong
	Connected        time.Time // when the connection was begun over which it has answered last
	Found            Role
	System           uint64        // the identifier of its system, as it said last; 0: not known
	Timeline         uint32        // likewise; 0: not known
	DelayBytes       int64         // how far a standby is behind its primary
	Delay            time.Duration // the same in time, as the primary says; 0: it has caught up, or this is not known
	Replayed         uint64        // the position that a standby has replayed, or a primary has inserted; 0: not known
	ReplayedAt       time.Time     // when it was asked for that; zero: never
	ReplicationState string        // streaming, catchup …; "" for a primary
	SyncState        string        // async, sync, quorum …
	Checks           Checks
}

// Unanswered says that nobody was there at the last probe who could answer a client.
func (n *Node) Unanswered() bool { return n.Probed && !n.Reachable && !n.Rejected }

// Reads says that a node can be read from as a standby, as far as is known.
func (n *Node) Reads() bool {
	return n.Role == Standby && n.Status != Down && n.Status != Quarantine && (!n.Probed || n.Reachable && n.Found == Standby)
}

// Vouches says that a node is known to be a standby of this herd that answers. While there is
// no primary, such a node may say whom it lets in.
func (n *Node) Vouches() bool {
	return n.Role == Standby && n.Status == Up && n.Probed && n.Reachable && n.Found == Standby
}

// Address is where to dial: network and address.
func (n *Node) Address() (network, address string) {
	if strings.HasPrefix(n.Host, "/") {
		return "unix", n.Host + "/.s.PGSQL." + strconv.Itoa(n.Port)
	}
	return "tcp", net.JoinHostPort(n.Host, strconv.Itoa(n.Port))
}

// View is the state of all nodes at one moment. It is never changed once published.
type View struct {
	Epoch uint64 // of the decision about who is primary; 0 where nobody decides
	// Draining says that the primary hands over to another node: no transaction begins there.
	Draining bool
	Nodes    []Node // by index, without gaps; Index tells
}

// Primary is the node that takes writes; nil if none is known to be up.
func (v *View) Primary() *Node {
	for i := range v.Nodes {
		if n := &v.Nodes[i]; n.Role == Primary && n.Status != Down && n.Status != Quarantine {
			return n
		}
	}
	return nil
}

// Headless says that no primary can be asked: there is none, or it does not answer and nobody
// decides that another node takes its place.
func (v *View) Headless() bool {
	primary := v.Primary()
	return primary == nil || v.Epoch == 0 && primary.Unanswered()
}

// Tellers are the indexes of the nodes that are asked about users: the primary, or while the herd is headless the standbys, of
// which those that have replayed most come first. Only the first is asked if it can answer. The standbys are asked as well
// where pgherd is not licensed to write to the primary, because another node may be the primary by now.
func (v *View) Tellers(licensed bool) (asked []int) {
	if v.Headless() || !licensed {
		asked = v.vouchers()
	}
	if primary := v.Primary(); len(asked) == 0 && primary != nil {
		return []int{primary.Index}
	}
	return asked
}

// vouchers are the standbys that vouch, those that have replayed most first.
func (v *View) vouchers() (found []int) {
	for i := range v.Nodes {
		if v.Nodes[i].Vouches() {
			found = append(found, i)
		}
	}
	slices.SortStableFunc(found, func(a, b int) int { return cmp.Compare(v.Nodes[b].Replayed, v.Nodes[a].Replayed) })
	for i, at := range found {
		found[i] = v.Nodes[at].Index
	}
	return found
}

// Node finds a node by its index; nil if there is none.
func (v *View) Node(index int) *Node {
	for i := range v.Nodes {
		if v.Nodes[i].Index == index {
			return &v.Nodes[i]
		}
	}
	return nil
}
