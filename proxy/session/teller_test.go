package session

import (
	"fmt"
	"testing"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// vouchText is the question whether a server's log-in is still good.
const vouchText = "Query " + pool.AdmissionQuestion

// gapWorld is a routedWorld whose primary is down while its standby answers, and of a client about whom PostgreSQL was not
// asked lately. remembered says whether another client like it has logged in before. up is the View with a primary.
func gapWorld(t *testing.T, mode pool.Mode, remembered bool, order ...int) (w *world, s []*side, up *nodes.View) {
	w, s = routedWorld(t, mode, order...)
	w.set.FailoverWait, w.stale, w.admission = 30*time.Second, true, letInOn.Admit(nil)
	if !remembered {
		w.template = nil
	}
	for _, one := range s {
		one.server.Admission, one.server.Params = w.admission, w.template
	}
	up = &nodes.View{Epoch: 3, Nodes: append([]nodes.Node(nil), w.view.Nodes...)}
	n := &up.Nodes[1]
	n.Probed, n.Reachable, n.Found = true, true, nodes.Standby
	w.view = &nodes.View{Epoch: 2, Nodes: []nodes.Node{{Role: nodes.Primary, Status: nodes.Down}, *n}}
	return w, s, up
}

// welcomed is greeted for a client whose server has reported no parameters.
func (w *world) welcomed(events ...func()) {
	w.then(append([]func(){w.hears(greeting[0], greeting[2], greeting[3])}, events...)...)
}

// lendsAgain is the event that a server is free once more.
func (w *world) lendsAgain(s *side) func() { return func() { w.free = append(w.free, s.server) } }

// vouches is a moment at which a server is asked about the log-in, and answers that nothing has changed.
func (w *world) vouches(s *side) { w.then(s.words(w.t, vouchText), s.says(found(letInOn))) }

// TestClientsWithoutAPrimary checks that while there is no primary a client logs in and reads by the word of a standby, which
// is asked once, whether or not a client like it has logged in before. The first statement for the next primary asks that.
func TestClientsWithoutAPrimary(t *testing.T) {
	for name, mode := range map[string]pool.Mode{"transaction": pool.Transaction, "session": pool.Session, "statement": pool.Statement} {
		for _, remembered := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", remembered: ", remembered), func(t *testing.T) {
				w, s, up := gapWorld(t, mode, remembered, 1, 0)
				standby, primary := s[0], s[1]
				w.free = w.free[:1]
				if !remembered {
					w.vouches(standby)
					w.welcomed(w.lendsAgain(standby), w.sends(simple(read)))
				} else {
					w.greeted(w.sends(simple(read)))
					w.vouches(standby)
				}
				w.then(standby.words(t, "Query "+read), standby.says(selected))
				w.then(w.hears(selectedText...), w.lendsAgain(standby), w.sends(simple(read)))
				w.then(standby.words(t, "Query "+read), standby.says(selected))
				insert := "INSERT INTO t VALUES (1)"
				w.then(w.hears(selectedText...), w.sends(simple(insert)))
				w.then(w.is(WaitServer), w.hears(), func() { w.view = up }, w.lendsAgain(primary))
				w.vouches(primary)
				w.then(primary.words(t, "Query "+insert), primary.says(done("INSERT 0 1")))
				w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.client.leaves())
				w.run()
				same2(t, "the primary is yet to be asked", w.session.unproved, false)
			})
		}
	}
}

// TestClientsWithoutALicence checks the same of a pgherd that has lost touch with the majority of its peers: the node that it
// believes to be the primary may be one no more, and is not asked before there is a licence again.
func TestClientsWithoutALicence(t *testing.T) {
	for _, remembered := range []bool{true, false} {
		t.Run(fmt.Sprint("remembered: ", remembered), func(t *testing.T) {
			w, s, up := gapWorld(t, pool.Transaction, remembered, 1, 0)
			standby, primary := s[0], s[1]
			w.view, w.unlicensed, w.stale, w.free = up, true, false, w.free[:1]
			if !remembered {
				w.vouches(standby)
				w.welcomed(w.lendsAgain(standby), w.sends(simple(read)))
			} else {
				w.greeted(w.sends(simple(read)))
				w.vouches(standby)
			}
			w.then(standby.words(t, "Query "+read), standby.says(selected))
			w.then(w.hears(selectedText...), w.sends(simple(write)))
			w.then(w.is(WaitServer), w.hears(), w.licenses(true), func() { w.stale = true }, w.lendsAgain(primary))
			w.vouches(primary)
			w.then(primary.words(t, "Query "+write), primary.says(done("INSERT 0 1")))
			w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.client.leaves())
			w.run()
			same2(t, "the primary is yet to be asked", w.session.unproved, false)
		})
	}
}

// TestWriteWithoutAPrimary checks that a client by the word of a standby gets no server for a write before there is a primary.
func TestWriteWithoutAPrimary(t *testing.T) {
	w, s, _ := gapWorld(t, pool.Transaction, false, 1)
	w.vouches(s[0])
	w.welcomed(w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(w.is(WaitServer), w.passes(31*time.Second))
	w.then(w.hears("ErrorResponse ERROR 57P03", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked(1)
}

// TestClientsWithoutFailover checks the same where nobody decides about the primary, which does not answer: log-ins and reads
// do not ask it.
func TestClientsWithoutFailover(t *testing.T) {
	for _, remembered := range []bool{true, false} {
		w, s, _ := gapWorld(t, pool.Transaction, remembered, 1)
		w.set.FailoverWait, w.view.Epoch = 0, 0
		w.view.Nodes[0] = nodes.Node{Role: nodes.Primary, Status: nodes.Up, Probed: true}
		if remembered {
			w.greeted(w.sends(simple(read)))
			w.vouches(s[0])
		} else {
			w.vouches(s[0])
			w.welcomed(w.lendsAgain(s[0]), w.sends(simple(read)))
		}
		w.then(s[0].words(t, "Query "+read), s[0].says(selected))
		w.then(w.hears(selectedText...), w.sends(simple("INSERT INTO t VALUES (1)")))
		w.then(w.refuses(&wire.Fault{Severity: "FATAL", Code: "08001"}))
		w.then(w.hears("ErrorResponse ERROR 08001", "ReadyForQuery I"), w.client.leaves())
		w.run()
		if remembered {
			w.nodesAsked(1, 0)
		} else {
			w.nodesAsked(1, 1, 0)
		}
	}
}

// TestLogInsThatWaitForThePrimary checks who does not log in by the word of a standby.
func TestLogInsThatWaitForThePrimary(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"reads go to the primary only":           func(w *world) { w.set.Routing = nil },
		"a connection for replication":           func(w *world) { w.who.Target.Replication = true },
		"the primary does not answer a check":    func(w *world) { w.view.Nodes[0] = nodes.Node{Role: nodes.Primary, Status: nodes.Up, Probed: true} },
		"the standby was not asked yet":          func(w *world) { n := &w.view.Nodes[1]; n.Probed, n.Reachable = false, false },
		"the standby does not answer":            func(w *world) { w.view.Nodes[1].Reachable = false },
		"the standby says that it is a primary":  func(w *world) { w.view.Nodes[1].Found = nodes.Primary },
		"nothing was decided about the node yet": func(w *world) { w.view.Nodes[1].Status = nodes.Waiting },
	} {
		t.Run(name, func(t *testing.T) {
			w, _, up := gapWorld(t, pool.Transaction, false)
			change(w)
			free := w.opened()
			free.server.Admission = w.admission
			w.then(w.client.gets(t), func() {
				for _, key := range w.asked {
					if key.Node == 1 {
						t.Error("a server of the standby is asked for")
					}
				}
				w.view, w.stale = up, false
				w.refused = pool.Unused{Node: 0} // who waits for the node itself looks again
				w.free = append(w.free, free.server)
			})
			w.then() // the session looks at the nodes once more
			w.welcomed(w.client.leaves())
			w.run()
		})
	}
}

// TestStandbyHasChanged checks that a client by the word of a standby gets no idle server of a standby that would let it in
// under other terms by now, but a new one.
func TestStandbyHasChanged(t *testing.T) {
	for name, answer := range map[string][]byte{
		"another state":         found(pool.Finding{Whose: "1/2", State: "y"}),
		"the role is gone":      append(fault("ERROR", "42704"), ready...),
		"it has ended meantime": nil,
	} {
		t.Run(name, func(t *testing.T) {
			w, s, _ := gapWorld(t, pool.Transaction, true, 1, 1)
			fresh := pool.Finding{Whose: "1/2", State: "y"}
			s[1].server.Admission = fresh.Admit(nil)
			w.greeted(w.sends(simple(read)))
			if answer == nil {
				w.then(s[0].hangs(errGone))
			} else {
				w.then(s[0].words(t, vouchText), s[0].says(answer))
			}
			w.then(s[1].words(t, vouchText), s[1].says(found(fresh)))
			w.then(s[1].words(t, "Query "+read), s[1].says(selected))
			w.then(w.hears(selectedText...), w.sends(terminate))
			w.run()
			w.ended("returned discarded")
			same2(t, "what the primary has said last is over", w.admission.Over(), false)
		})
	}
}

var errGone = &wire.Fault{Severity: "FATAL", Code: "57P01", Message: "gone"}

// TestStandbyRefuses checks that a standby's refusal is not the last word: the client waits for the primary, and hears the
// refusal only if there is none in time.
func TestStandbyRefuses(t *testing.T) {
	for _, code := range []string{"28000", "28P01", "3D000", "42501"} {
		refusal := &wire.Fault{Severity: "FATAL", Code: code, Message: "not here"}
		w, _, up := gapWorld(t, pool.Transaction, false)
		s := w.opened()
		s.server.Admission = w.admission
		w.then(w.refuses(refusal))
		w.then(w.is(WaitServer), w.client.gets(t), func() { w.view = up; w.stale = false; w.free = append(w.free, s.server) })
		w.welcomed(w.client.leaves())
		w.run()
		w.nodesAsked(1, 0)

		w, _, _ = gapWorld(t, pool.Transaction, false)
		w.then(w.refuses(refusal))
		w.then(w.is(WaitServer), w.passes(31*time.Second))
		w.run()
		w.client.gets(t, "ErrorResponse FATAL "+code)()

		w, _, _ = gapWorld(t, pool.Transaction, true)
		w.greeted(w.sends(simple(read)))
		w.then(w.refuses(refusal))
		w.then(w.is(WaitServer), w.passes(31*time.Second))
		w.then(w.hears("ErrorResponse ERROR 57P03", "ReadyForQuery I"), w.sends(terminate))
		w.run()
		w.nodesAsked(1)
	}
}

// TestRoleBehindTheStandby checks that a session that a standby has let in as a role that was dropped on the primary, where
// another one has its name, ends when it comes to the primary. It never gets a server there.
func TestRoleBehindTheStandby(t *testing.T) {
	w, s, up := gapWorld(t, pool.Transaction, false, 1, 0)
	another := pool.Finding{Whose: "3/2", State: "x"}
	s[1].server.Admission = another.Admit(nil)
	w.vouches(s[0])
	w.welcomed(func() { w.view = up }, w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(s[1].words(t, vouchText), s[1].says(found(another)))
	w.run()
	w.client.gets(t, "ErrorResponse FATAL 28000")()
	s[1].words(t)()
}

// TestProvenClientAndAStandbyBehind checks that a client whom the primary has let in is not ended by a standby that knows an
// older role by its name.
func TestProvenClientAndAStandbyBehind(t *testing.T) {
	w, s, _ := gapWorld(t, pool.Transaction, true, 1, 1)
	w.stale = false
	s[0].server.Admission = (pool.Finding{Whose: "0/2", State: "x"}).Admit(nil)
	w.greeted(w.sends(simple(read)))
	w.then(s[0].words(t), s[1].words(t, "Query "+read), s[1].says(selected))
	w.then(w.hears(selectedText...), w.sends(terminate))
	w.run()
	w.ended("returned discarded")
}

// TestPrimaryConfirms checks that a client about whom a standby may have been asked gets no server of the primary before the
// primary has confirmed its log-in, even if another one like it was let in lately, and that the session ends if it refuses.
func TestPrimaryConfirms(t *testing.T) {
	refusal := &wire.Fault{Severity: "FATAL", Code: "28P01", Message: "not with this password"}
	for name, c := range map[string]struct {
		answers []error
		hears   []string
		left    string
	}{
		"it agrees":                 {[]error{nil}, selectedText, "returned"},
		"it refuses":                {[]error{refusal}, []string{"ErrorResponse FATAL 28P01"}, "discarded"},
		"it refuses by the rules":   {[]error{fmt.Errorf("wrapped: %w", refusal)}, []string{"ErrorResponse FATAL 28P01"}, "discarded"},
		"it has no connection left": {[]error{&wire.Fault{Severity: "FATAL", Code: "53300"}, nil}, selectedText, "returned discarded"},
		"it cannot be reached yet":  {[]error{&wire.Fault{Severity: "FATAL", Code: "08001"}, nil}, selectedText, "returned discarded"},
	} {
		t.Run(name, func(t *testing.T) {
			w, s, up := gapWorld(t, pool.Transaction, true, 0, 0)
			w.view, w.stale, w.free = up, false, w.free[:len(c.answers)]
			asked := 0
			w.who.Confirm = func() error { asked++; return c.answers[asked-1] }
			if c.answers[0] != nil && len(c.answers) == 1 {
				w.run()
				w.hears(c.hears...)()
			} else {
				for range len(c.answers) - 1 {
					w.then() // it looks at the nodes again
				}
				w.greeted(w.lendsAgain(s[len(c.answers)-1]), func() { w.returned = nil }, w.sends(simple("INSERT INTO t VALUES (1)")))
				w.then(s[len(c.answers)-1].says(selected))
				w.then(w.hears(c.hears...), w.client.leaves())
				w.run()
			}
			w.ended(c.left)
			same2(t, "questions", asked, len(c.answers))
		})
	}
}

// TestConfirmedTooLate checks that what the primary says of a log-in does not count if it is not the primary any more by then,
// or if what log-ins depend on has changed meanwhile.
func TestConfirmedTooLate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, server *pool.Server)
		second int  // the node of the server that it gets then
		waits  bool // for a licence
	}{
		"the role has changed": {func(w *world, server *pool.Server) { server.Admission.End() }, 0, false},
		"there is another primary": {func(w *world, server *pool.Server) {
			w.view = &nodes.View{Epoch: 4, Nodes: []nodes.Node{w.view.Nodes[0], w.view.Nodes[1]}}
			w.view.Nodes[0].Role, w.view.Nodes[1].Role = nodes.Standby, nodes.Primary
		}, 1, false},
		"this pgherd has lost its licence": {func(w *world, _ *pool.Server) { w.unlicensed = true }, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, s, up := gapWorld(t, pool.Transaction, true, 0, c.second)
			w.view, w.stale = up, false
			s[0].server.Admission, s[1].server.Admission = letInOn.Admit(nil), letInOn.Admit(nil)
			asked := 0
			w.who.Confirm = func() error {
				if asked++; asked == 1 {
					c.change(w, s[0].server)
				}
				return nil
			}
			w.greeted(w.lendsAgain(s[1]), func() { w.returned = nil }, w.sends(simple(write)))
			if c.waits {
				w.then(w.is(WaitServer), w.licenses(true))
			}
			w.then(s[0].words(t), s[1].words(t, "Query "+write), s[1].says(done("INSERT 0 1")))
			w.then(w.hears("CommandComplete INSERT 0 1", "ReadyForQuery I"), w.client.leaves())
			w.run()
			same2(t, "questions", asked, 2)
		})
	}
}

// TestPrimaryIsBackMeanwhile checks that a standby's word does not count if there is a primary again by the time of its answer.
func TestPrimaryIsBackMeanwhile(t *testing.T) {
	w, s, up := gapWorld(t, pool.Transaction, true, 1, 0)
	w.greeted(w.sends(simple(read)))
	w.then(s[0].words(t, vouchText), func() { w.view = up }, s[0].says(found(letInOn)))
	w.vouches(s[1])
	w.then(s[1].words(t, "Query "+read), s[1].says(selected))
	w.then(w.hears(selectedText...), w.sends(terminate))
	w.run()
	w.ended("returned discarded")
}

// TestPrimaryIsBackDuringTheLogIn is the same for a log-in, which then asks the primary.
func TestPrimaryIsBackDuringTheLogIn(t *testing.T) {
	w, s, up := gapWorld(t, pool.Transaction, false, 1, 0)
	w.then(s[0].words(t, vouchText), func() { w.view = up }, s[0].says(found(letInOn)))
	w.vouches(s[1])
	w.welcomed(w.client.leaves())
	w.run()
	w.nodesAsked(1, 0)
}

// TestStandbyIsPromotedMeanwhile checks that what a standby has said does not count as the primary's word if it was promoted
// before its answer came: it may not have replayed everything when it was asked.
func TestStandbyIsPromotedMeanwhile(t *testing.T) {
	w, s, _ := gapWorld(t, pool.Transaction, true, 1, 1)
	promoted := &nodes.View{Epoch: 3, Nodes: []nodes.Node{w.view.Nodes[0], {Index: 1, Role: nodes.Primary, Status: nodes.Up, Weight: 1}}}
	promoted.Nodes[0].Role = nodes.Standby
	w.greeted(w.sends(simple(read)))
	w.then(s[0].words(t, vouchText), func() { w.view = promoted }, s[0].says(found(letInOn)))
	w.vouches(s[1])
	w.then(s[1].words(t, "Query "+read), s[1].says(selected))
	w.then(w.hears(selectedText...), w.sends(terminate))
	w.run()
	w.ended("returned discarded")
}

// TestCatalogWithoutAPrimary checks that while there is no primary a standby is asked for a catalog of which nothing is known,
// and that the next primary is asked again.
func TestCatalogWithoutAPrimary(t *testing.T) {
	w, s, _ := gapWorld(t, pool.Transaction, true, 1)
	w.set.Catalogs, w.set.CatalogCheck = catalog.NewShared(), time.Hour
	entry := w.set.Catalogs.Entry("app")
	w.greeted(w.sends(simple(read)))
	w.vouches(s[0])
	answer := catalogAnswer([]string{"version", "1", "read committed", "", ""}, []string{"names", "rp", "", "t", ""})
	w.then(s[0].words(t, "Query CATALOG"), s[0].says(answer), w.lendsAgain(s[0]))
	w.then(s[0].words(t, "Query "+read), s[0].says(selected))
	w.then(w.hears(selectedText...), w.sends(terminate))
	w.run()
	same2(t, "the primary is to be asked", entry.Due(w.now), true)
}

// TestFirstParameters checks that a client that a standby has let in is not told that its server is a standby.
func TestFirstParameters(t *testing.T) {
	w, s, _ := gapWorld(t, pool.Transaction, false, 1)
	s[0].server.Params = append(s[0].server.Params, wire.Param{Name: "in_hot_standby", Value: "on"})
	w.vouches(s[0])
	w.then(w.client.gets(t, "Authentication", "ParameterStatus in_hot_standby=off", "BackendKeyData", "ReadyForQuery I"),
		w.client.leaves())
	w.run()
	same2(t, "the server's own parameter", pool.Param(s[0].server.Params, "in_hot_standby"), "on")
}
