package session

import (
	"slices"
	"testing"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// routedWorld is a primary, node 0, which has no weight, and a standby, node 1.
// Servers are found in the order of nodes.
func routedWorld(t *testing.T, mode pool.Mode, order ...int) (*world, []*side) {
	w, _ := transactionWorld(t)
	w.free, w.servers = nil, nil
	w.set.Modes.Default, w.set.ResetQueries = mode, []string{"DISCARD ALL"}
	empty, err := catalog.Read(nil, [][]string{{"version", "1", "read committed", "", ""}, {"names", "rp", "", "t", ""}})
	if err != nil {
		t.Fatal(err)
	}
	w.set.Catalogs.Entry("app").Store(w.set.Catalogs.Entry("app").Ask(time.Unix(0, 0)), empty)
	w.set.Routing = &Routing{Rules: route.Settings{Balance: true, OnWrite: route.Transaction},
		Balance: route.Balance{Policy: route.Policies["weight"]}, Consistency: route.Own, ConsistencyWait: 10 * time.Millisecond}
	w.view = &nodes.View{Nodes: []nodes.Node{{Role: nodes.Primary, Status: nodes.Up}, {Index: 1, Role: nodes.Standby, Status: nodes.Up, Weight: 1}}}
	var list []*side
	for _, node := range order {
		s := w.server()
		s.server.Key = w.who.Target.On(node)
		list = append(list, s)
	}
	return w, list
}

func (w *world) nodesAsked(want ...int) {
	w.t.Helper()
	var got []int
	for _, key := range w.asked {
		got = append(got, key.Node)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("servers were asked of nodes %v, want %v", got, want)
	}
}

// TestReadsLeaveThePrimary checks that reads go to the standby, and writes do not.
func TestReadsLeaveThePrimary(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 1, 0)
	w.greeted(w.sends(simple("SELECT 1")))
	w.then(s[0].words(t, "Query SELECT 1"), s[0].says(selected))
	w.then(w.told(1, selectedText...), w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(s[1].words(t, "Query INSERT INTO t VALUES (1)"), s[1].says(done("INSERT 0 1")))
	w.then(w.told(2, "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked(1, 0)
}

// TestBlockComesBack checks that a block that has only read begins again on the primary when it writes, and that the client sees
// one transaction.
func TestBlockComesBack(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 1, 0)
	w.greeted(w.sends(simple("BEGIN")))
	w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), w.is(InTransaction), w.sends(simple("SELECT 1")))
	w.then(s[0].words(t, "Query BEGIN", "Query SELECT 1"), s[0].says(inside("BEGIN"), inside("SELECT 1")))
	w.then(w.told(0, "CommandComplete SELECT 1", "ReadyForQuery T"), w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
	w.then(s[1].words(t, "Query BEGIN", "Query SELECT", "Query INSERT INTO t VALUES (1)"), s[1].says(inside("BEGIN"), inside("SELECT 1"), inside("INSERT 0 1")))
	w.then(w.told(1, "CommandComplete INSERT 0 1", "ReadyForQuery T"), w.sends(simple("SELECT 2")))
	w.then(s[1].words(t, "Query SELECT 2"), s[1].says(inside("SELECT 1")))
	w.then(w.told(1, "CommandComplete SELECT 1", "ReadyForQuery T"), w.sends(simple("COMMIT")))
	w.then(s[1].words(t, "Query COMMIT"), s[1].says(done("COMMIT")))
	w.then(w.told(2, "CommandComplete COMMIT", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// TestErrorOnTheStandby checks that an error fails the block, which ends on the same node.
func TestErrorOnTheStandby(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 1)
	w.greeted(w.sends(simple("BEGIN")))
	w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(simple("SELECT 1")))
	w.then(s[0].words(t, "Query BEGIN", "Query SELECT 1"), s[0].says(inside("BEGIN"), failed("22012")))
	w.then(w.told(0, "ErrorResponse ERROR 22012", "ReadyForQuery E"), w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(s[0].words(t, "Query INSERT INTO t VALUES (1)"), s[0].says(failed("25P02")))
	w.then(w.told(0, "ErrorResponse ERROR 25P02", "ReadyForQuery E"), w.sends(simple("ROLLBACK")))
	w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")))
	w.then(w.told(1, "CommandComplete ROLLBACK", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked(1)
}

// TestEmptyBlock checks that no server gets a transaction in which nothing happens.
func TestEmptyBlock(t *testing.T) {
	w, _ := routedWorld(t, pool.Transaction)
	w.greeted(w.sends(simple("START TRANSACTION READ ONLY"), simple("COMMIT"), simple("BEGIN"), simple("ROLLBACK")))
	w.then(w.told(0, "CommandComplete START TRANSACTION", "ReadyForQuery T", "CommandComplete COMMIT", "ReadyForQuery I",
		"CommandComplete BEGIN", "ReadyForQuery T", "CommandComplete ROLLBACK", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked()
}

// TestDriversBegin checks a pipeline with a BEGIN before a statement.
func TestDriversBegin(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 1)
	w.greeted(w.sends(parse("BEGIN"), execute, parse("SELECT 1"), execute, syncs))
	w.then(s[0].words(t, "Query BEGIN", "Parse SELECT 1", "Bind", "Execute", "Sync"), s[0].says(inside("BEGIN"),
		wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), inside("SELECT 1")))
	w.then(w.told(0, "ParseComplete", "BindComplete", "CommandComplete BEGIN", "ParseComplete", "BindComplete", "CommandComplete SELECT 1", "ReadyForQuery T"),
		w.sends(simple("COMMIT")))
	w.then(s[0].words(t, "Query COMMIT"), s[0].says(done("COMMIT")))
	w.then(w.told(1, "CommandComplete COMMIT", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// TestPipelineKeepsItsOrder checks that a request for the primary waits for the read before it.
func TestPipelineKeepsItsOrder(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 1, 0)
	w.greeted(w.sends(parse("SELECT 1"), execute, parse("INSERT INTO t VALUES (1)"), execute, syncs))
	w.then(s[0].words(t, "Parse SELECT 1", "Bind", "Execute", "Flush"), s[0].says(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), complete("SELECT 1")))
	w.then(w.told(0, "ParseComplete", "BindComplete", "CommandComplete SELECT 1"), s[0].words(t, "Sync"), s[0].says(ready))
	w.then(s[1].words(t, "Parse INSERT INTO t VALUES (1)", "Bind", "Execute", "Sync"),
		s[1].says(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil), done("INSERT 0 1")))
	w.then(w.told(2, "ParseComplete", "BindComplete", "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// TestPipelineFailsOnTheStandby checks that what follows an error is skipped, and never reaches the
// primary.
func TestPipelineFailsOnTheStandby(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 1)
	w.greeted(w.sends(parse("SELECT 1"), execute, parse("INSERT INTO t VALUES (1)"), execute, syncs))
	w.then(s[0].words(t, "Parse SELECT 1", "Bind", "Execute", "Flush"), s[0].says(fault("ERROR", "22012")))
	w.then(s[0].words(t, "Parse INSERT INTO t VALUES (1)", "Bind", "Execute", "Sync"), s[0].says(ready))
	w.then(w.told(1, "ErrorResponse ERROR 22012", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked(1)
}

// TestSessionModeKeepsItsServer checks that the session's own server is parked while a standby serves the session, is used again
// after that, and is reset in the end.
func TestSessionModeKeepsItsServer(t *testing.T) {
	w, s := routedWorld(t, pool.Session, 0, 1)
	w.greeted(w.sends(simple("SET work_mem TO 5")))
	w.then(s[0].words(t, "Query SET work_mem TO 5"), s[0].says(done("SET")))
	w.then(w.told(0, "CommandComplete SET", "ReadyForQuery I"), w.sends(simple("SELECT 1")))
	w.then(s[1].words(t, `Query SET "work_mem" TO '5';`, "Query SELECT 1"), s[1].says(done("SET"), selected))
	w.then(w.told(1, selectedText...), w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(s[0].words(t, "Query INSERT INTO t VALUES (1)"), s[0].says(done("INSERT 0 1")))
	w.then(w.told(1, "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
	w.then(s[0].words(t, "Query DISCARD ALL"), s[0].says(done("DISCARD ALL")))
	w.run()
	w.nodesAsked(0, 1)
}

// TestOwnWritesAreSeen checks that after a write a read waits for a while until the standby has
// replayed it, and then goes to the primary.
func TestOwnWritesAreSeen(t *testing.T) {
	for name, c := range map[string]struct {
		replayed uint64 // after two moments of waiting
		node     int
	}{
		"the standby catches up":   {100, 1},
		"the standby stays behind": {99, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := routedWorld(t, pool.Transaction, 0, c.node)
			w.greeted(w.sends(simple("INSERT INTO t VALUES (1)")))
			w.then(s[0].words(t, "Query INSERT INTO t VALUES (1)"), s[0].says(done("INSERT 0 1")), w.passes(time.Second))
			w.then(w.told(1, "CommandComplete INSERT 0 1", "ReadyForQuery I"), func() { w.replayed = 50 }, w.sends(simple("SELECT 1")))
			w.then(func() { same2(t, "asked for positions", w.chased > 0, true) }, w.passes(time.Millisecond))
			w.then(func() { w.written, w.asked2 = 100, w.now }, w.passes(time.Millisecond))
			w.then(func() { w.replayed, w.asked2 = c.replayed, w.now.Add(time.Microsecond) })
			if c.node == 0 {
				w.then(w.passes(10 * time.Millisecond))
			}
			w.then(s[1].words(t, "Query SELECT 1"), s[1].says(selected))
			w.then(w.told(2, selectedText...), w.sends(terminate))
			w.run()
			w.nodesAsked(0, c.node)
		})
	}
}

// TestRestartedStandby checks a standby that starts again with less than it had replayed, while a read waits for its server, or
// while the server is brought to the session's settings.
func TestRestartedStandby(t *testing.T) {
	wait := func(t *testing.T) (*world, []*side) {
		w, s := routedWorld(t, pool.Transaction, 0)
		s = append(s, w.opened(), w.opened())
		s[1].server.Key = w.who.Target.On(1)
		w.greeted(w.sends(simple("SET work_mem TO 5")))
		w.then(s[0].words(t, "Query SET work_mem TO 5"), func() { w.free = append(w.free, s[0].server) }, s[0].says(done("SET")))
		w.then(w.told(1, "CommandComplete SET", "ReadyForQuery I"), w.sends(simple("INSERT INTO t VALUES (1)")))
		w.then(s[0].words(t, "Query INSERT INTO t VALUES (1)"), s[0].says(done("INSERT 0 1")))
		w.then(w.told(2, "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.passes(time.Second),
			func() { w.written, w.replayed, w.asked2 = 100, 100, w.now }, w.sends(simple("SELECT 1")))
		w.then(w.passes(time.Second), func() { s[1].server.Opened = w.now }, w.grants(s[1]))
		return w, s
	}
	t.Run("the standby is behind", func(t *testing.T) {
		w, s := wait(t)
		w.moments[len(w.moments)-1] = append(w.moments[len(w.moments)-1], func() { w.replayed, w.asked2 = 50, w.now.Add(time.Second) })
		w.then(s[1].words(t, `Query SET "work_mem" TO '5';`), s[1].says(done("SET")))
		w.then(w.grants(s[2]))
		w.then(s[2].words(t, `Query SET "work_mem" TO '5';`, "Query SELECT 1"), s[2].says(done("SET"), selected))
		w.then(w.told(4, selectedText...), w.sends(terminate))
		w.run()
		w.nodesAsked(0, 0, 1, 0)
	})
	t.Run("the server has ended", func(t *testing.T) {
		w, s := wait(t)
		w.then(s[1].words(t, `Query SET "work_mem" TO '5';`), s[1].hangs(errBroken))
		w.then(w.grants(s[2]))
		w.then(s[2].words(t, `Query SET "work_mem" TO '5';`, "Query SELECT 1"), s[2].says(done("SET"), selected))
		w.then(w.told(3, selectedText...), w.sends(terminate))
		w.run()
		w.nodesAsked(0, 0, 1, 0)
	})
}

// TestPrimaryChangesMeanwhile checks that a request that waits for the primary goes to the node
// that is the primary then.
func TestPrimaryChangesMeanwhile(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction)
	s = append(s, w.opened(), w.opened())
	s[1].server.Key = w.who.Target.On(1)
	w.greeted(w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(func() {
		w.view = &nodes.View{Nodes: []nodes.Node{{Role: nodes.Standby, Status: nodes.Up}, {Index: 1, Role: nodes.Primary, Status: nodes.Up}}}
	}, w.grants(s[0]))
	w.then(s[0].words(t), w.grants(s[1]))
	w.then(s[1].words(t, "Query INSERT INTO t VALUES (1)"), s[1].says(done("INSERT 0 1")))
	w.then(w.told(2, "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked(0, 1)
}

// TestCanceledBeforeTheStandbyCatchesUp checks that a read that waits for a standby to catch up can be canceled.
func TestCanceledBeforeTheStandbyCatchesUp(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 0)
	w.greeted(w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(s[0].words(t, "Query INSERT INTO t VALUES (1)"), s[0].says(done("INSERT 0 1")))
	w.then(w.told(1, "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(simple("BEGIN"), simple("SELECT 1")))
	w.then(w.told(1, "CommandComplete BEGIN", "ReadyForQuery T"), w.is(WaitServer), w.cancels)
	w.then(w.told(1, "ErrorResponse ERROR 57014", "ReadyForQuery E"), w.is(InTransaction), w.sends(simple("ROLLBACK")))
	w.then(w.told(1, "CommandComplete ROLLBACK", "ReadyForQuery I"), w.sends(terminate))
	w.run()
	w.nodesAsked(0)
}

// TestOthersWritesAreSeen checks that with read_consistency = global each statement sees other sessions' writes, in a block with
// several snapshots and in a pipeline.
func TestOthersWritesAreSeen(t *testing.T) {
	writes := func(w *world) func() {
		return func() { w.now = w.now.Add(time.Second); w.lastWrite = w.now }
	}
	t.Run("the standby does not catch up", func(t *testing.T) {
		w, s := routedWorld(t, pool.Transaction, 1, 0)
		w.set.Routing.Consistency = route.Global
		w.greeted(w.sends(simple("BEGIN")))
		w.then(w.told(0, "CommandComplete BEGIN", "ReadyForQuery T"), w.sends(simple("SELECT 1")))
		w.then(s[0].words(t, "Query BEGIN", "Query SELECT 1"), s[0].says(inside("BEGIN"), inside("SELECT 1")))
		w.then(w.told(0, "CommandComplete SELECT 1", "ReadyForQuery T"), writes(w), w.sends(simple("SELECT 2")))
		w.then(s[0].words(t, "Query ROLLBACK"), s[0].says(done("ROLLBACK")), w.passes(time.Second))
		w.then(w.passes(time.Second))
		w.then(s[1].words(t, "Query BEGIN", "Query SELECT", "Query SELECT 2"), s[1].says(inside("BEGIN"), inside("SELECT 0"), inside("SELECT 1")))
		w.then(w.told(1, "CommandComplete SELECT 1", "ReadyForQuery T"), w.sends(simple("COMMIT")))
		w.then(s[1].words(t, "Query COMMIT"), s[1].says(done("COMMIT")))
		w.then(w.told(2, "CommandComplete COMMIT", "ReadyForQuery I"), w.sends(terminate))
		w.run()
		w.nodesAsked(1, 0)
	})
	t.Run("it has caught up", func(t *testing.T) {
		w, s := routedWorld(t, pool.Transaction, 1)
		w.set.Routing.Consistency = route.Global
		w.greeted(w.sends(simple("SELECT 1")))
		w.then(s[0].words(t, "Query SELECT 1"), writes(w), func() { w.written, w.replayed, w.asked2 = 9, 9, w.now.Add(1) }, w.sends(simple("SELECT 2")))
		w.then(s[0].words(t, "Query SELECT 2"), s[0].says(selected, selected))
		w.then(w.told(1, append(selectedText, selectedText...)...), w.sends(terminate))
		w.run()
		w.nodesAsked(1)
	})
}

// TestPinnedSessionsStay checks that reads of a pinned session stay on the primary, because what it
// has left there may change their result.
func TestPinnedSessionsStay(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 0)
	w.greeted(w.sends(simple("LISTEN a")))
	w.then(s[0].words(t, "Query LISTEN a", "Query STATE"), s[0].says(done("LISTEN"), state("l a")))
	w.then(w.told(0, "CommandComplete LISTEN", "ReadyForQuery I"), w.sends(simple("SELECT 1")))
	w.then(s[0].words(t, "Query SELECT 1"), s[0].says(selected))
	w.then(w.told(0, selectedText...), w.sends(terminate))
	w.then(s[0].words(t, "Query DISCARD ALL"), s[0].says(done("DISCARD ALL")))
	w.run()
	w.nodesAsked(0)
}

// TestStandbyCannotHaveTheSettings checks that the primary gets the read if the standby has not replayed the role that another
// client has created.
func TestStandbyCannotHaveTheSettings(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 0, 1, 0)
	w.greeted(w.sends(simple("SET ROLE young")))
	w.then(s[0].words(t, "Query SET ROLE young"), s[0].says(done("SET")))
	w.then(w.told(1, "CommandComplete SET", "ReadyForQuery I"), w.sends(simple("SELECT 1")))
	w.then(s[1].words(t, "Query SET role TO 'young';"), s[1].says(erred("22023")))
	w.then(s[2].words(t, "Query SET role TO 'young';"), s[2].says(done("SET")))
	w.then(s[2].words(t, "Query SELECT 1"), s[2].says(selected))
	w.then(w.told(2, selectedText...), w.sends(terminate))
	w.run()
	w.nodesAsked(0, 1, 0)
	same2(t, "servers closed", len(w.discarded), 1)
}

// TestStandbyHasNoServer checks that the primary gets the read if the standby has no server.
func TestStandbyHasNoServer(t *testing.T) {
	w, _ := routedWorld(t, pool.Transaction)
	s := w.opened()
	w.greeted(w.sends(simple("SELECT 1")))
	w.then(w.refuses(&wire.Fault{Severity: "FATAL", Code: "57P03", Message: "the database system is starting up"}))
	w.then(w.grants(s))
	w.then(s.words(t, "Query SELECT 1"), s.says(selected))
	w.then(w.told(1, selectedText...), w.sends(terminate))
	w.run()
	w.nodesAsked(1, 0)
}

// TestReadsGoOnWithoutAPrimary checks that a read for which the primary was chosen goes to a standby once the primary is known to
// be lost, and that later reads do not wait for a primary to be asked for the catalog.
func TestReadsGoOnWithoutAPrimary(t *testing.T) {
	w, s := routedWorld(t, pool.Transaction, 1, 1)
	w.set.FailoverWait, w.set.CatalogCheck = 30*time.Second, time.Second
	w.view.Nodes[0].Weight, w.view.Nodes[1].Weight = 1, 0
	w.free = nil
	w.greeted(w.sends(simple(read)))
	w.then(w.is(WaitServer), w.refuses(&wire.Fault{Severity: "FATAL", Code: "08001", Message: "refused"}))
	w.then(func() {
		w.view = &nodes.View{Nodes: []nodes.Node{{Role: nodes.Primary, Status: nodes.Down}, {Index: 1, Role: nodes.Standby, Status: nodes.Up, Weight: 1}}}
	})
	w.then(w.grants(s[0]))
	w.then(s[0].words(t, "Query "+read), s[0].says(selected))
	w.then(w.told(1, selectedText...), w.passes(time.Minute), w.sends(simple(read)))
	w.then(w.grants(s[1]))
	w.then(s[1].words(t, "Query "+read), s[1].says(selected))
	w.then(w.told(2, selectedText...), w.sends(terminate))
	w.run()
	w.nodesAsked(0, 1, 1)
}

// TestReadsNeedNotWaitForARestart checks that a read for which the primary was chosen goes to a
// standby if the primary does not answer, though it may be restarted and stays the primary. If no
// standby can be had either, the read fails after failover_wait_timeout.
func TestReadsNeedNotWaitForARestart(t *testing.T) {
	stopped := nodes.Node{Role: nodes.Primary, Status: nodes.Up, Probed: true}
	refused := &wire.Fault{Severity: "FATAL", Code: "08001", Message: "refused"}
	for _, standby := range []bool{true, false} {
		w, s := routedWorld(t, pool.Transaction, 1)
		w.set.FailoverWait = 30 * time.Second
		w.view.Nodes[0].Weight, w.view.Nodes[1].Weight = 1, 0
		w.free = nil
		w.greeted(w.sends(simple(read)))
		w.then(w.is(WaitServer), func() {
			if w.view = (&nodes.View{Nodes: []nodes.Node{stopped}}); standby {
				w.view.Nodes = append(w.view.Nodes, nodes.Node{Index: 1, Role: nodes.Standby, Status: nodes.Up, Weight: 1})
			}
		}, w.refuses(refused))
		if standby {
			w.then(w.is(WaitServer), w.grants(s[0]))
			w.then(s[0].words(t, "Query "+read), s[0].says(selected))
			w.then(w.told(1, selectedText...), w.sends(terminate))
		} else {
			w.then(w.refuses(refused))
			w.then(w.passes(time.Minute))
			w.then(w.refuses(refused))
			w.then(w.told(0, "ErrorResponse ERROR 57P03", "ReadyForQuery I"), w.sends(terminate))
		}
		w.run()
	}
}

// TestWaitsOnce checks that a read waits for nodes for failover_wait_timeout in all, whatever it waits for: for any node first,
// then for a primary that hands over.
func TestWaitsOnce(t *testing.T) {
	w, _ := routedWorld(t, pool.Transaction, 1)
	w.set.FailoverWait = 30 * time.Second
	w.free = nil
	w.greeted(func() {
		w.view = &nodes.View{Nodes: []nodes.Node{{Role: nodes.Standby, Status: nodes.Down}, {Index: 1, Role: nodes.Standby, Status: nodes.Down}}}
	}, w.sends(simple(read)))
	w.then(w.is(WaitServer), w.passes(20*time.Second))
	w.then(w.is(WaitServer), func() {
		w.view = &nodes.View{Draining: true, Nodes: []nodes.Node{{Role: nodes.Primary, Status: nodes.Up}}}
	})
	w.then(w.is(WaitServer), w.passes(11*time.Second))
	w.then(w.told(0, "ErrorResponse ERROR 57P03", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// TestReadsFindTheLastStandby checks that a read whose standby is lost, too, goes to the next one, though there is no primary, and
// that it fails if no node comes up.
func TestReadsFindTheLastStandby(t *testing.T) {
	down := &wire.Fault{Severity: "FATAL", Code: "08001", Message: "refused"}
	for _, comes := range []bool{true, false} {
		w, s := routedWorld(t, pool.Transaction, 1)
		w.set.FailoverWait = 30 * time.Second
		w.view = &nodes.View{Nodes: []nodes.Node{{Role: nodes.Primary, Status: nodes.Down}, {Index: 1, Role: nodes.Standby, Status: nodes.Up, Weight: 1}}}
		w.free = nil
		w.greeted(w.sends(simple(read)))
		w.then(w.is(WaitServer), w.refuses(down))
		if comes {
			w.then(w.is(WaitServer), w.grants(s[0]))
			w.then(s[0].words(t, "Query "+read), s[0].says(selected))
			w.then(w.told(1, selectedText...), w.sends(terminate))
		} else {
			w.then(w.refuses(down))
			w.then(func() { w.view = &nodes.View{} }, w.passes(time.Minute))
			w.then(w.told(0, "ErrorResponse ERROR 57P03", "ReadyForQuery I"), w.sends(terminate))
		}
		w.run()
	}
}
