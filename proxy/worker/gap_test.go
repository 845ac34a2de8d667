package worker

import (
	"testing"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
)

// TestGap checks that in a gap, while there is no primary, a standby's server goes by the standby's own answer, and that no such
// answer counts once there is a primary, whose word is then asked for, also about users.
func TestGap(t *testing.T) {
	doubted := 0
	primary, standby := nodes.Node{Role: nodes.Primary, Status: nodes.Up}, nodes.Node{Index: 1, Role: nodes.Standby, Status: nodes.Up}
	down := primary
	down.Status = nodes.Down
	with, without := &nodes.View{Epoch: 1, Nodes: []nodes.Node{primary, standby}}, &nodes.View{Epoch: 2, Nodes: []nodes.Node{down, standby}}
	ws := newYard(t, 1, 1).workers
	ws.started.Store(true)
	w := ws.all[0]
	w.env.Doubted = func() { doubted++ }
	ws.Publish(with)
	opened := func(node int, state string) *pool.Server {
		s := &pool.Server{Key: pool.Target{Database: "app", User: "alice"}.On(node)}
		w.admit(s, pool.Finding{Whose: "1/2", State: state, Loaded: "7"}, w.asks())
		return s
	}
	session := &task{w: w}
	says := func(s *pool.Server, state, loaded string) bool {
		return session.Vouch(s)(pool.Finding{Whose: "1/2", State: state, Loaded: loaded})
	}
	of, behind := opened(0, "x"), opened(1, "w")
	if ws.Gaps()%2 != 0 || !behind.Admission.Over() || of.Admission.Over() {
		t.Error("a standby decides though there is a primary")
	}

	ws.Publish(without)
	behind, like := opened(1, "w"), opened(1, "x")
	if ws.Gaps()%2 != 1 || like.Admission != of.Admission {
		t.Error("the gap is not noticed, or a standby that answers like the primary has an Admission of its own")
	}
	late := opened(1, "w")
	for what, c := range map[string]struct{ got, want bool }{
		"nothing has changed":               {says(like, "x", "7"), true},
		"the configuration was read again":  {says(like, "x", "8"), false},
		"the standby has replayed a change": {says(like, "y", "7"), false},
		"it would not let in any more":      {session.Vouch(like)(pool.Finding{}), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: the server is still good: %v, want %v", what, c.got, c.want)
		}
	}
	if of.Admission.Over() || doubted != 0 {
		t.Error("a standby's answer ends what the primary has said last")
	}

	last := opened(1, "z")
	ws.Publish(with)
	if ws.Gaps()%2 != 0 || !last.Admission.Over() || !late.Admission.Over() || !behind.Admission.Over() || of.Admission.Over() || doubted != 1 {
		t.Errorf("after the gap standbys' answers still count, or what they said of users does (forgotten %d times)", doubted)
	}
	if says(like, "y", "7") {
		t.Error("after the gap a standby decides")
	}
}
