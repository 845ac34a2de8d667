package patroni

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"pgherd/proxy/failover"
)

// Member is one of Patroni's, as GET /cluster has it.
type Member struct {
	Name     string `json:"name"`
	Role     string `json:"role"`  // leader, standby_leader, replica, sync_standby, quorum_standby, promoted
	State    string `json:"state"` // running, streaming, stopped ...
	Host     string `json:"host"`
	Port     number `json:"port"`
	Timeline number `json:"timeline"`
	Lag      words  `json:"lag"` // in bytes, or "unknown"; "": it is not told
}

// cluster is an answer of GET /cluster, of any version of Patroni from 2 on.
type cluster struct {
	Members []Member `json:"members"`
	Paused  bool     `json:"pause"`
}

// number is one that may be missing, or "unknown", which is 0.
type number int64

func (n *number) UnmarshalJSON(text []byte) error {
	*n = 0
	if v, err := strconv.ParseInt(string(text), 10, 64); err == nil && v > 0 {
		*n = number(v)
	}
	return nil
}

// words are a value as it is written, without quotes.
type words string

func (w *words) UnmarshalJSON(text []byte) error {
	*w = words(strings.Trim(string(text), `"`))
	return nil
}

func parse(text []byte) (c cluster, err error) {
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("read the answer: %w", err)
	}
	if c.Members == nil {
		return c, errors.New("read the answer: it has no members: it is not Patroni's")
	}
	return c, nil
}

// report is what an answer says of the leader. The member that has the lock is called the
// leader; from Patroni 4 on, promoted, until its promotion is over.
func (c *cluster) report(all []Node) failover.Report {
	r := failover.Report{Leader: failover.None, Paused: c.Paused}
	for _, m := range c.Members {
		switch m.Role {
		case "leader", "promoted":
			r.Name, r.Timeline, r.Leader = m.Name, uint32(m.Timeline), failover.Elsewhere
			if n := find(all, &m); n != nil {
				r.Leader = n.Index
			}
			return r
		case "standby_leader":
			r.Name = m.Name
		}
		r.Timeline = max(r.Timeline, uint32(m.Timeline))
	}
	return r
}

// member is the one of the node whose Patroni was asked. Each is a member of its own cluster: one
// that does not have it is of another cluster, or has another address for it.
func (c *cluster) member(n *Node) (*Member, error) {
	for i := range c.Members {
		if n.is(&c.Members[i]) {
			return &c.Members[i], nil
		}
	}
	if n.Member != "" {
		return nil, fmt.Errorf("it has no member %s, which patroni_member%d names", n.Member, n.Index)
	}
	return nil, fmt.Errorf("it has no member at %s, port %d; if it has another address for that, set patroni_member%d to its name", n.Host, n.Port, n.Index)
}

// strangers are the names of members that are none of these nodes.
func (c *cluster) strangers(all []Node) (names []string) {
	for i := range c.Members {
		if find(all, &c.Members[i]) == nil {
			names = append(names, c.Members[i].Name)
		}
	}
	return names
}

// find finds the node that a member is; nil: none of these.
func find(all []Node, m *Member) *Node {
	for i := range all {
		if all[i].is(m) {
			return &all[i]
		}
	}
	return nil
}

const defaultPort = 5432

// is says that a member is this node: by its name, if one is configured, else by its host
// and port. Names of hosts are compared as they are written, and not looked up.
func (n *Node) is(m *Member) bool {
	if n.Member != "" {
		return n.Member == m.Name
	}
	port := int(m.Port)
	if port == 0 {
		port = defaultPort
	}
	a, b := net.ParseIP(n.Host), net.ParseIP(m.Host)
	return n.Port == port && (strings.EqualFold(n.Host, m.Host) || a != nil && b != nil && a.Equal(b))
}
