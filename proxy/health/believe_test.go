package health

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
)

var start = time.Unix(1_000_000_000, 0)

// asked makes settings of nodes 0, 1, ... that are probed: "db0", or "db0!" for a node that is always the
// primary.
func asked(names ...string) (all []Node) {
	for i, name := range names {
		host, always := strings.CutSuffix(name, "!")
		all = append(all, Node{Node: nodes.Node{Index: i, Host: host, Port: 5432, Weight: 1}, ApplicationName: "app" + fmt.Sprint(i), AlwaysPrimary: always})
	}
	return all
}

// found reads "0 primary 100, 1 standby 90 t2 s7, 2 unreachable": positions, and timelines and system
// identifiers where they are known. "2 unreachable primary t2 s7" is an unreachable node with what it
// said last.
func found(text string) map[int]Finding {
	all := map[int]Finding{}
	byWord := map[string]nodes.Role{"primary": nodes.Primary, "standby": nodes.Standby}
	for part := range strings.SplitSeq(text, ", ") {
		words := strings.Fields(part)
		if len(words) < 2 {
			continue
		}
		f := Finding{Reachable: words[1] != "unreachable", Role: byWord[words[1]]}
		for _, word := range words[1:] {
			n, _ := strconv.ParseUint(strings.TrimLeft(word, "ts"), 10, 64)
			switch role, named := byWord[word]; {
			case named:
				f.Last.Role = role
			case word[0] == 't':
				f.Last.Timeline = uint32(n)
			case word[0] == 's':
				f.Last.System = n
			default:
				f.LSN = n
			}
		}
		i, _ := strconv.Atoi(words[0])
		all[i] = f
	}
	return all
}

// roles writes what is believed, as "0 primary, 1 standby +10".
func roles(v *nodes.View) string {
	var all []string
	for _, n := range v.Nodes {
		text := fmt.Sprintf("%d %v", n.Index, n.Role)
		if n.Status == nodes.Quarantine {
			text += " in quarantine"
		}
		if n.DelayBytes != 0 {
			text += fmt.Sprintf(" +%d", n.DelayBytes)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// scenario is a list of moments, one after the other: what the probes find, and what is believed then.
type (
	moment   struct{ found, want string }
	scenario struct {
		nodes   []Node
		moments []moment
	}
)

func (s scenario) run(t *testing.T) {
	var before *nodes.View
	for i, m := range s.moments {
		view := Believe(s.nodes, found(m.found), before, start)
		if got := roles(view); got != m.want {
			t.Fatalf("moment %d: got %s, want %s", i, got, m.want)
		}
		before = view
	}
}

func TestBelieve(t *testing.T) {
	for name, s := range map[string]scenario{
		"no node is probed, so the first is the primary": {asked("a", "b"), []moment{{"", "0 primary, 1 standby"}, {"", "0 primary, 1 standby"}}},
		"there is no node":                                  {nil, []moment{{"", ""}}},
		"a node says that it is the primary":                {asked("a", "b"), []moment{{"0 standby 5, 1 primary 5", "0 standby, 1 primary"}}},
		"always the primary, though it says standby":        {asked("a", "b!"), []moment{{"0 primary 9, 1 standby 1", "0 standby in quarantine, 1 primary"}}},
		"always the primary, though it is unreachable":      {asked("a", "b!"), []moment{{"0 primary 9 t9, 1 unreachable", "0 standby in quarantine, 1 primary"}}},
		"always the primary, no node is probed":             {asked("a", "b!"), []moment{{"", "0 standby, 1 primary"}}},
		"no node answers, so the first is the primary":      {asked("a", "b"), []moment{{"0 unreachable, 1 unreachable", "0 primary, 1 standby"}}},
		"only standbys answer, so the first is the primary": {asked("a", "b"), []moment{{"0 standby 1, 1 standby 1", "0 primary, 1 standby"}}},
		"an unreachable primary is believed until another node claims the role": {asked("a", "b"), []moment{
			{"0 standby 5, 1 primary 5", "0 standby, 1 primary"},
			{"0 standby 5, 1 unreachable", "0 standby, 1 primary"},
			{"0 unreachable, 1 unreachable", "0 standby, 1 primary"},
			{"0 primary 6, 1 unreachable", "0 primary, 1 standby"},
		}},
		"a standby is behind": {asked("a", "b", "c"), []moment{
			{"0 primary 100, 1 standby 90, 2 standby 100", "0 primary, 1 standby +10, 2 standby"},
			{"0 primary 100, 1 standby 100, 2 standby 101", "0 primary, 1 standby, 2 standby"}, // the standby was asked a little later
			{"0 primary 200, 1 unreachable, 2 standby 199", "0 primary, 1 standby, 2 standby +1"},
			{"0 unreachable, 1 standby 90, 2 standby 100", "0 primary, 1 standby, 2 standby"}, // the primary's position is not known
		}},
	} {
		t.Run(name, s.run)
	}
}

// TestBelieveAfterReload checks the belief after the primary was taken out of the configuration.
func TestBelieveAfterReload(t *testing.T) {
	before := Believe(asked("a", "b"), found("0 standby 1, 1 primary 1"), nil, start)
	if got := roles(Believe(asked("a"), found("0 unreachable"), before, start)); got != "0 primary" {
		t.Errorf("got %s, want the remaining node as the primary", got)
	}
}

func TestBelieveWhatWasFound(t *testing.T) {
	view := Believe(asked("a", "b", "c"), found("0 primary 7, 1 unreachable"), nil, start)
	for i, want := range []nodes.Node{
		{Probed: true, Reachable: true, Found: nodes.Primary},
		{Probed: true},
		{},
	} {
		n := view.Nodes[i]
		if n.Probed != want.Probed || n.Reachable != want.Reachable || n.Found != want.Found || n.Status != nodes.Up ||
			n.Host != []string{"a", "b", "c"}[i] || n.Weight != 1 {
			t.Errorf("node %d: got %+v, want %+v", i, n, want)
		}
	}
}

// TestBelieveReplication checks that a standby is known to its primary by the name in
// backend_application_name or by its address, and not by a host name.
func TestBelieveReplication(t *testing.T) {
	row := Standby{State: "streaming", SyncState: "quorum", Delay: time.Second}
	for name, c := range map[string]struct {
		standby Node
		rows    map[string]Standby
		want    Standby
	}{
		"by name":                 {Node{ApplicationName: "app1", Node: nodes.Node{Host: "b"}}, map[string]Standby{"app1": row}, row},
		"by address":              {Node{ApplicationName: "app1", Node: nodes.Node{Host: "10.0.0.2"}}, map[string]Standby{"10.0.0.2": row}, row},
		"by name before address":  {Node{ApplicationName: "app1", Node: nodes.Node{Host: "10.0.0.2"}}, map[string]Standby{"app1": row, "10.0.0.2": {}}, row},
		"not by host name":        {Node{Node: nodes.Node{Host: "b"}}, map[string]Standby{"b": row, "": row}, Standby{}},
		"another":                 {Node{ApplicationName: "app1", Node: nodes.Node{Host: "10.0.0.2"}}, map[string]Standby{"app2": row}, Standby{}},
		"the user may not see it": {Node{ApplicationName: "app1", Node: nodes.Node{Host: "b"}}, map[string]Standby{"app1": {}}, Standby{}},
	} {
		c.standby.Index = 1
		list := []Node{asked("a")[0], c.standby}
		findings := map[int]Finding{0: {Reachable: true, Role: nodes.Primary, Standbys: c.rows}, 1: {Reachable: true, Role: nodes.Standby}}
		view := Believe(list, findings, nil, start)
		if n := view.Nodes[1]; n.ReplicationState != c.want.State || n.SyncState != c.want.SyncState || n.Delay != c.want.Delay {
			t.Errorf("%s: state %q, sync state %q, delay %v", name, n.ReplicationState, n.SyncState, n.Delay)
		}
		if n := view.Nodes[0]; n.ReplicationState != "" || n.SyncState != "" || n.DelayBytes != 0 || n.Delay != 0 {
			t.Errorf("%s: the primary is described as a standby: %+v", name, n)
		}
	}
}

// TestBelieveReplayed checks that a View has the position of a node whose role is the one that it
// is believed to have, and when it was asked for.
func TestBelieveReplayed(t *testing.T) {
	findings := found("0 primary 100, 1 standby 90, 2 unreachable, 3 primary 80, 5 standby 0")
	for i, f := range findings {
		f.At = start.Add(time.Duration(i) * time.Second)
		findings[i] = f
	}
	view := Believe(asked("a!", "b", "c", "d", "e", "f"), findings, nil, start)
	for i, want := range []uint64{100, 90, 0, 0, 0, 0} {
		n := &view.Nodes[i]
		if at, asked := findings[i]; n.Replayed != want || n.ReplayedAt != at.At || asked == n.ReplayedAt.IsZero() {
			t.Errorf("node %d: position %d at %v", i, n.Replayed, n.ReplayedAt)
		}
	}
}

// TestBelieveSince checks that Since is the time at which the status began, and stays while the status does.
func TestBelieveSince(t *testing.T) {
	first := Believe(asked("a", "b"), nil, nil, start)
	later := start.Add(time.Hour)
	second := Believe(asked("a", "b", "c"), found("1 primary 1"), first, later)
	var got []time.Time
	for _, n := range second.Nodes {
		got = append(got, n.Since)
	}
	if !slices.Equal(got, []time.Time{start, start, later}) {
		t.Errorf("times of the statuses are %v", got)
	}
	first.Nodes[0].Status = nodes.Down
	if n := Believe(asked("a"), nil, first, later).Nodes[0]; n.Since != later {
		t.Errorf("the status has changed, but Since is %v", n.Since)
	}
}

// TestRejected checks which outcomes of a probe say that a node is there, and has not let the probe in.
func TestRejected(t *testing.T) {
	for verdict, want := range map[failover.Verdict]bool{
		failover.Full: true, failover.WrongPassword: true,
		failover.Refused: false, failover.Silent: false, failover.Starting: false, failover.ShuttingDown: false, failover.Failing: false, failover.Unresolved: false,
	} {
		s := Seen{Asked: true, Finding: Finding{Course: Course{Verdict: verdict}}}
		if n := s.View(nil); n.Rejected != want || n.Unanswered() == want {
			t.Errorf("%s: %+v", verdict, n)
		}
	}
}
