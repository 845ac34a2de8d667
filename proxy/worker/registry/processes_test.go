package registry

import (
	"testing"

	"pgherd/proxy/pool"
)

// TestProcesses checks that another process may get a number before the end of the first process is
// noticed, and that a number belongs to one node.
func TestProcesses(t *testing.T) {
	var p Processes
	on := func(node int, pid uint32) *pool.Server {
		key := appKey
		key.Node = node
		return &pool.Server{Key: key, PID: pid}
	}
	is := func(node int, pid uint32, want bool) {
		t.Helper()
		if p.Has(node, pid) != want {
			t.Errorf("Has process %d on node %d: got %v", pid, node, !want)
		}
	}
	first, second, other := on(0, 5), on(0, 5), on(1, 5)
	p.Opened(first)
	is(0, 5, true)
	is(1, 5, false)
	is(0, 6, false)
	p.Opened(other)
	p.Opened(second)
	p.Closed(first)
	is(0, 5, true)
	p.Closed(second)
	is(0, 5, false)
	is(1, 5, true)
	p.Closed(other)
	if len(p.open) != 0 {
		t.Errorf("processes are left: %v", p.open)
	}
}
