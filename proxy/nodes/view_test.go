package nodes

import (
	"slices"
	"testing"
)

func TestAddress(t *testing.T) {
	for want, n := range map[[2]string]Node{
		{"tcp", "10.0.0.1:5432"}:                     {Host: "10.0.0.1", Port: 5432},
		{"tcp", "[::1]:5433"}:                        {Host: "::1", Port: 5433},
		{"tcp", "db.example.com:1"}:                  {Host: "db.example.com", Port: 1},
		{"unix", "/run/postgresql/.s.PGSQL.5432"}:    {Host: "/run/postgresql", Port: 5432},
		{"unix", "/run/postgresql/x y/.s.PGSQL.543"}: {Host: "/run/postgresql/x y", Port: 543},
	} {
		if network, address := n.Address(); [2]string{network, address} != want {
			t.Errorf("got %s %s, want %v", network, address, want)
		}
	}
}

// TestPrimary checks that the primary is the one in use, and none that is down or in quarantine.
func TestPrimary(t *testing.T) {
	for name, c := range map[string]struct {
		nodes []Node
		want  int
	}{
		"no node":             {nil, -1},
		"no primary":          {[]Node{{Index: 0, Role: Standby, Status: Up}, {Index: 1, Status: Up}}, -1},
		"one":                 {[]Node{{Index: 0, Role: Standby, Status: Up}, {Index: 1, Role: Primary, Status: Up}}, 1},
		"not used yet":        {[]Node{{Index: 2, Role: Primary, Status: Waiting}}, 2},
		"the primary is down": {[]Node{{Index: 0, Role: Primary, Status: Down}}, -1},
		"in quarantine":       {[]Node{{Index: 0, Role: Primary, Status: Quarantine}}, -1},
		"the old one is down": {[]Node{{Index: 0, Role: Primary, Status: Down}, {Index: 1, Role: Primary, Status: Up}}, 1},
	} {
		got := -1
		if p := (&View{Nodes: c.nodes}).Primary(); p != nil {
			got = p.Index
		}
		if got != c.want {
			t.Errorf("%s: got node %d, want %d", name, got, c.want)
		}
	}
}

// TestTellers checks that users are asked about on the primary as long as it may answer, and else on the standbys that
// do, of which the one that has replayed most comes first.
func TestTellers(t *testing.T) {
	primary, standby := Node{Role: Primary, Status: Up}, Node{Index: 1, Role: Standby, Status: Up, Probed: true, Reachable: true, Found: Standby}
	with := func(n Node, change func(*Node)) Node { change(&n); return n }
	dead := with(primary, func(n *Node) { n.Probed = true })
	standby.Replayed = 20
	behind, ahead := with(standby, func(n *Node) { n.Index, n.Replayed = 2, 10 }), with(standby, func(n *Node) { n.Index, n.Replayed = 3, 30 })
	unknown := with(standby, func(n *Node) { n.Index, n.Replayed = 4, 0 })
	isolated := View{Epoch: 1, Nodes: []Node{standby, primary}}
	if got := isolated.Tellers(false); !slices.Equal(got, []int{1}) {
		t.Errorf("nodes %d are asked where nothing may be sent to the primary, want 1", got)
	}
	for name, c := range map[string]struct {
		epoch    uint64
		nodes    []Node
		headless bool
		want     []int
	}{
		"no node":                                  {1, nil, true, nil},
		"the primary":                              {1, []Node{standby, primary}, false, []int{0}},
		"it does not answer the check yet":         {1, []Node{standby, dead}, false, []int{0}},
		"it rejects the check":                     {0, []Node{standby, with(dead, func(n *Node) { n.Rejected = true })}, false, []int{0}},
		"it does not answer, and nobody decides":   {0, []Node{standby, dead}, true, []int{1}},
		"neither answers, and nobody decides":      {0, []Node{dead}, true, []int{0}},
		"it is down":                               {1, []Node{standby, with(primary, func(n *Node) { n.Status = Down })}, true, []int{1}},
		"several standbys":                         {1, []Node{behind, ahead, standby}, true, []int{3, 1, 2}},
		"nothing is known of where they are":       {1, []Node{unknown, with(unknown, func(n *Node) { n.Index = 5 })}, true, []int{4, 5}},
		"a standby that was not asked yet":         {1, []Node{with(standby, func(n *Node) { n.Probed, n.Reachable = false, false })}, true, nil},
		"a standby that does not answer":           {1, []Node{with(standby, func(n *Node) { n.Reachable = false })}, true, nil},
		"a standby that says that it is a primary": {1, []Node{with(standby, func(n *Node) { n.Found = Primary })}, true, nil},
		"a standby in quarantine":                  {1, []Node{with(standby, func(n *Node) { n.Status = Quarantine })}, true, nil},
		"nothing was decided yet":                  {0, []Node{with(standby, func(n *Node) { n.Status = Waiting })}, true, nil},
	} {
		v := &View{Epoch: c.epoch, Nodes: c.nodes}
		got := v.Tellers(true)
		if v.Headless() != c.headless || !slices.Equal(got, c.want) {
			t.Errorf("%s: headless is %v, want %v; nodes %d are asked, want %d", name, v.Headless(), c.headless, got, c.want)
		}
	}
}

func TestNode(t *testing.T) {
	v := &View{Nodes: []Node{{Index: 0}, {Index: 3, Port: 9}}}
	if n := v.Node(3); n != &v.Nodes[1] {
		t.Errorf("%v", n)
	}
	if v.Node(1) != nil || v.Node(-1) != nil {
		t.Error("a node that does not exist was found")
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"waiting": Waiting.String(), "up": Up.String(), "down": Down.String(), "quarantine": Quarantine.String(),
		"unknown": Unknown.String(), "primary": Primary.String(), "standby": Standby.String(),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
