package nodes

import "testing"

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
