package worker

import (
	"sync"
	"testing"
	"time"

	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
)

// TestReplayed checks that sessions see the latest position, whoever has asked for it, and in whatever
// order the answers came.
func TestReplayed(t *testing.T) {
	start := time.Unix(1_000_000_000, 0)
	second := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	view := func(lsn uint64, at time.Time) *nodes.View {
		return &nodes.View{Nodes: []nodes.Node{{Index: 0}, {Index: nodes.MaxIndex, Replayed: lsn, ReplayedAt: at}}}
	}
	ws := NewWorkers(1, &Environment{Now: time.Now}, &Settings{}, &nodes.View{})
	session := &task{w: ws.all[0]}
	for _, step := range []struct {
		what string
		do   func()
		want uint64
		at   time.Time
	}{
		{"never asked", func() {}, 0, time.Time{}},
		{"a view with a node that was not asked", func() { ws.Publish(view(0, time.Time{})) }, 0, time.Time{}},
		{"a probe", func() { ws.Publish(view(100, second(1))) }, 100, second(1)},
		{"positions asked for while a read waits", func() { ws.NoteReplayed(nodes.MaxIndex, 110, second(2)) }, 110, second(2)},
		{"the view again, for another node's probe", func() { ws.Publish(view(100, second(1))) }, 110, second(2)},
		{"a slow answer", func() { ws.NoteReplayed(nodes.MaxIndex, 0, second(1)) }, 110, second(2)},
		{"a failure, of which not even the time counts", func() { ws.NoteReplayed(nodes.MaxIndex, 0, second(3)) }, 0, time.Time{}},
		{"the standby was restarted and is further back", func() { ws.Publish(view(90, second(4))) }, 90, second(4)},
	} {
		step.do()
		if lsn, at := session.Replayed(nodes.MaxIndex); lsn != step.want || !at.Equal(step.at) {
			t.Errorf("%s: position %d at %v", step.what, lsn, at)
		}
		if lsn, at := session.Replayed(0); lsn != 0 || !at.IsZero() {
			t.Errorf("%s: the primary has a position: %d at %v, want none", step.what, lsn, at)
		}
	}
}

// TestReplayedAtOnce checks that the latest of many simultaneous positions stays.
func TestReplayedAtOnce(t *testing.T) {
	ws := NewWorkers(1, &Environment{Now: time.Now}, &Settings{}, &nodes.View{})
	var all sync.WaitGroup
	const each = 1000
	for i := range 4 {
		all.Go(func() {
			for n := range each {
				ws.NoteReplayed(1, uint64(n*4+i), time.Unix(int64(n*4+i), 0))
			}
		})
	}
	all.Wait()
	if lsn, _ := (&task{w: ws.all[0]}).Replayed(1); lsn != each*4-1 {
		t.Errorf("position is %d", lsn)
	}
}

// TestCounts checks that what sessions count is in the view, and that the view is a copy.
func TestCounts(t *testing.T) {
	y := newYard(t, 1, 1)
	w := y.workers.all[0]
	session := &task{w: w}
	session.Count(0, metrics.Select)
	session.Count(nodes.MaxIndex, metrics.Error)
	session.Count(nodes.MaxIndex, metrics.Error)
	v := w.view()
	session.Count(0, metrics.Select)
	if v.Sent[0] != (metrics.Statements{metrics.Select: 1}) || v.Sent[nodes.MaxIndex] != (metrics.Statements{metrics.Error: 2}) ||
		v.Sent[1] != (metrics.Statements{}) {
		t.Errorf("statements sent are %v", v.Sent)
	}
	if n := testing.AllocsPerRun(100, func() { session.Count(1, metrics.Insert) }); n != 0 {
		t.Errorf("%v allocations per statement, want none", n)
	}
}

func TestChaseTellsTheWorld(t *testing.T) {
	wanted := 0
	ws := NewWorkers(1, &Environment{Now: time.Now, PollPositions: func() { wanted++ }}, &Settings{}, &nodes.View{})
	if (&task{w: ws.all[0], pid: 1}).PollPositions(); wanted != 1 {
		t.Errorf("wanted is %d", wanted)
	}
}

// TestReadsOfAPrimaryThatRejectsTheCheck checks that a primary keeps its share of the reads though the check is not let in:
// that says nothing of how clients fare. Nobody reads from one at which nobody answers, unless it has to be.
func TestReadsOfAPrimaryThatRejectsTheCheck(t *testing.T) {
	for name, c := range map[string]struct {
		node nodes.Node
		want float64
	}{
		"answers":              {nodes.Node{Probed: true, Reachable: true}, 1},
		"not asked yet":        {nodes.Node{}, 1},
		"full, wrong password": {nodes.Node{Probed: true, Rejected: true}, 1},
		"refused, silent ...":  {nodes.Node{Probed: true}, 0},
	} {
		ws := NewWorkers(1, &Environment{Now: time.Now}, &Settings{}, &nodes.View{})
		c.node.Role, c.node.Status, c.node.Weight = nodes.Primary, nodes.Up, 1
		ws.Publish(&nodes.View{Nodes: []nodes.Node{c.node}})
		if all := (&task{w: ws.all[0]}).Candidates(); len(all) != 1 || all[0].Weight != c.want {
			t.Errorf("%s: candidates %+v, want weight %v", name, all, c.want)
		}
	}
}
