package health

import (
	"testing"

	"pgherd/proxy/nodes"
)

// TestClaims checks herds in which several nodes say that they are the primary, or one is of another system.
func TestClaims(t *testing.T) {
	for name, s := range map[string]scenario{
		"of two that claim the role the one believed before keeps it": {asked("a", "b", "c"), []moment{
			{"0 standby 5, 1 primary 5, 2 standby 5", "0 standby, 1 primary, 2 standby"},
			{"0 primary 9, 1 primary 5, 2 standby 5", "0 standby in quarantine, 1 primary, 2 standby"},
			{"0 primary 9 t3, 1 primary 5 t3, 2 primary 7", "0 standby in quarantine, 1 primary, 2 standby in quarantine"},
			{"0 unreachable primary t3, 1 primary 5 t3, 2 standby 5", "0 standby in quarantine, 1 primary, 2 standby"},
			{"0 standby 5 t3, 1 primary 5 t3, 2 standby 5", "0 standby, 1 primary, 2 standby"},
		}},
		"of two new claims none counts until one is given up": {asked("a", "b", "c"), []moment{
			{"0 standby 5, 1 primary 5, 2 primary 5", "0 standby, 1 standby in quarantine, 2 standby in quarantine"},
			{"0 standby 5 t4 s7, 1 primary 5 t4 s7, 2 primary 5 t4 s7", "0 standby, 1 standby in quarantine, 2 standby in quarantine"},
			{"0 standby 5 t4 s7, 1 primary 5 t4 s7, 2 unreachable primary t4 s7", "0 standby, 1 standby in quarantine, 2 standby in quarantine"},
			{"0 standby 5 t4 s7, 1 primary 5 t4 s7, 2 standby 5 t4 s7", "0 standby, 1 primary, 2 standby"},
		}},
		"of two new claims of different systems none counts": {asked("a", "b"), []moment{
			{"0 primary 5 t1 s7, 1 primary 5 t2 s8", "0 standby in quarantine, 1 standby in quarantine"},
		}},
		"of two new claims none counts while the old primary is unreachable": {asked("a", "b", "c"), []moment{
			{"0 primary 5, 1 standby 5, 2 standby 5", "0 primary, 1 standby, 2 standby"},
			{"0 unreachable primary, 1 primary 5, 2 primary 5", "0 standby in quarantine, 1 standby in quarantine, 2 standby in quarantine"},
		}},
		"a restarted node on an older timeline is no primary": {asked("a", "b", "c"), []moment{
			{"0 primary 9 t4 s7, 1 primary 5 t5 s7, 2 standby 5 t5 s7", "0 standby in quarantine, 1 primary, 2 standby"},
			{"0 primary 9 t4 s7, 1 unreachable primary t5 s7, 2 standby 5 t5 s7", "0 standby in quarantine, 1 primary, 2 standby"},
		}},
		"a node on an older timeline is no primary, though the newer one is unreachable": {asked("a", "b", "c"), []moment{
			{"0 primary 9 t4 s7, 1 unreachable, 2 standby 5 t5 s7", "0 standby in quarantine, 1 standby, 2 standby"},
			{"0 primary 9 t4 s7, 1 primary 5 t5 s7, 2 standby 5 t5 s7", "0 standby in quarantine, 1 primary, 2 standby"},
		}},
		"a promotion under way": {asked("a", "b", "c"), []moment{
			{"0 primary 9 t4 s7, 1 standby 9 t4 s7, 2 standby 9 t4 s7", "0 primary, 1 standby, 2 standby"},
			{"0 primary 9 t4 s7, 1 primary 9 t5 s7, 2 standby 9 t4 s7", "0 standby in quarantine, 1 primary, 2 standby"},
			{"0 standby 9 t5 s7, 1 primary 9 t5 s7, 2 standby 9 t5 s7", "0 standby, 1 primary, 2 standby"},
		}},
		"of two nodes that are promoted at once none counts": {asked("a", "b", "c"), []moment{
			{"0 primary 9 t4 s7, 1 standby 9 t4 s7, 2 standby 9 t4 s7", "0 primary, 1 standby, 2 standby"},
			{"0 primary 9 t4 s7, 1 primary 9 t5 s7, 2 primary 9 t5 s7", "0 standby in quarantine, 1 standby in quarantine, 2 standby in quarantine"},
		}},
		"an old primary comes back while the newer one does not answer": {asked("a", "b"), []moment{
			{"0 unreachable, 1 primary 9 t5 s7", "0 standby, 1 primary"},
			{"0 primary 9 t4 s7, 1 unreachable primary t5 s7", "0 standby in quarantine, 1 primary"},
		}},
		"the primary keeps its place against a standby that is ahead": {asked("a", "b"), []moment{
			{"0 primary 9 t4 s7, 1 standby 9 t4 s7", "0 primary, 1 standby"},
			{"0 primary 9 t4 s7, 1 standby 9 t5 s7", "0 primary, 1 standby"},
		}},
		"roles change without a new timeline": {asked("a", "b"), []moment{
			{"0 primary 9 t4 s7, 1 standby 9 t4 s7", "0 primary, 1 standby"},
			{"0 standby 9 t4 s7, 1 primary 9 t4 s7", "0 standby, 1 primary"},
		}},
		"another system": {asked("a", "b", "c"), []moment{
			{"0 primary 9 t1 s7, 1 standby 9 t1 s8, 2 standby 9 t1", "0 primary, 1 standby in quarantine, 2 standby"},
			{"0 primary 9 t1 s7, 1 unreachable standby t1 s8, 2 unreachable", "0 primary, 1 standby in quarantine, 2 standby"},
			{"0 primary 9 t1 s7, 1 primary 9 t9 s8, 2 standby 9", "0 primary, 1 standby in quarantine, 2 standby"},
			{"0 unreachable primary t1 s7, 1 primary 9 t9 s8, 2 standby 9", "0 primary, 1 standby in quarantine, 2 standby"},
			{"0 primary 9 t1 s7, 1 standby 9 t1 s7, 2 standby 9", "0 primary, 1 standby, 2 standby"},
		}},
		"a system other than that of a node that is always the primary": {asked("a", "b!"), []moment{
			{"0 standby 9 t2 s7, 1 standby 9 t1 s8", "0 standby in quarantine, 1 primary"},
		}},
	} {
		t.Run(name, s.run)
	}
}

// TestQuarantineTellsWhy checks the reason in the log, and that it names only what is known.
func TestQuarantineTellsWhy(t *testing.T) {
	for text, want := range map[string]string{
		"0 primary t1 s7, 1 standby t1 s8": "its system identifier is 8, and that of the primary (node 0) is 7",
		"0 primary t5 s7, 1 primary t4 s7": "it says that it is a primary on timeline 4, and the primary is node 0 on timeline 5",
		"0 primary t5 s7, 1 primary t5 s7": "it says that it is a primary on timeline 5, and nothing tells that it is the right one",
		"0 primary, 1 primary":             "it says that it is a primary, and nothing tells that it is the right one",
		"0 primary t5 s7, 1 standby t5 s7": "",
	} {
		n := Believe(asked("a", "b"), found(text), nil, start).Nodes[1]
		if n.Why != want || n.ReplicationState != "" || (n.Status == nodes.Quarantine) != (want != "") {
			t.Errorf("%s: got reason %q, status %v, want reason %q", text, n.Why, n.Status, want)
		}
	}
}
