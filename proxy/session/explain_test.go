package session

import (
	"flag"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/querylog"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

var update = flag.Bool("update", false, "write the explanations into testdata, to be reviewed")

// herdWorld has a primary and two standbys, and servers of each. Requests are answered at once, as
// far as these tests need it.
type herdWorld struct {
	*world
	statuses map[*side]byte
	got      []string // "NODE SQL", as servers got it
	rows     string   // of the answer that the client got last
	notices  []string
	lines    []querylog.Line
	of       []uint64 // the positions that nodes have replayed
	catalogs int      // number of questions for the catalog
}

func newHerdWorld(t *testing.T) *herdWorld {
	w := &herdWorld{world: newWorld(t), statuses: map[*side]byte{}}
	known, err := catalog.Read(nil, ofHerd)
	if err != nil {
		t.Fatal(err)
	}
	catalogs := catalog.NewShared()
	catalogs.Entry("app").Claim(time.Unix(0, 0), math.MaxInt64, false)
	catalogs.Entry("app").Store(catalogs.Entry("app").Ask(time.Unix(0, 0)), known)
	w.set = &Settings{QueryWait: time.Minute, ResetTimeout: 10 * time.Second, KeepServers: true, MaxPrepared: 10,
		Modes: pool.Modes{Default: pool.Transaction}, Statements: query.NewCache(100, 1<<20), Catalogs: catalogs, CatalogCheck: time.Hour,
		Commands: shows{}}
	w.set.Routing = &Routing{Rules: route.Settings{Balance: true, OnWrite: route.Transaction},
		Balance: route.Balance{Policy: route.Policies["weight"]}, Consistency: route.Own, ConsistencyWait: 50 * time.Millisecond}
	w.set.Log = func(l querylog.Line) { w.lines = append(w.lines, l) }
	w.view.Nodes[0].Weight = 0
	w.view.Nodes = append(w.view.Nodes, nodes.Node{Index: 1, Role: nodes.Standby, Status: nodes.Up, Weight: 0.75},
		nodes.Node{Index: 2, Role: nodes.Standby, Status: nodes.Up, Weight: 0.25})
	w.replayed, w.written = 0x3000060, 0x3000060
	return w
}

// ofHerd is the catalog of the database.
var ofHerd = [][]string{
	{"version", "1", "read committed", "", ""}, {"names", "rp", "", "t/u", ""}, {"names", "ru", "", "log", ""},
	{"function", "vol", "plpgsql", "vf", "BEGIN INSERT INTO t VALUES (1); END"},
}

// Checkout always opens a server.
func (w *herdWorld) Checkout(key pool.Key, _ any) *pool.Server {
	s := w.opened()
	s.server.Key = key
	w.statuses[s] = wire.Idle
	return s.server
}

func (w *herdWorld) Candidates() (all []route.Candidate) {
	for _, c := range w.world.Candidates() {
		if w.view.Nodes[c.Index].Status == nodes.Up {
			c.Bytes = w.view.Nodes[c.Index].DelayBytes
			c.Replayed, _ = w.Replayed(c.Index)
			all = append(all, c)
		}
	}
	return all
}

func (w *herdWorld) Replayed(node int) (uint64, time.Time) {
	if node < len(w.of) {
		return w.of[node], w.asked2
	}
	return w.world.Replayed(node)
}

// serve makes every server answer what it has got.
func (w *herdWorld) serve() {
	for _, s := range w.servers {
		for p := s.out; len(p) > 0; {
			m, rest, err := s.cut.Next(p)
			if p = rest; err != nil {
				w.t.Fatal(err)
			}
			if answer := w.reply(s, m); len(answer) > 0 {
				s.in = append(s.in, answer)
			}
		}
		s.out = nil
	}
}

func (w *herdWorld) reply(s *side, m wire.Message) []byte {
	simple := map[wire.Kind][]byte{wire.Parse: wire.AppendParseComplete(nil), wire.Bind: wire.AppendBindComplete(nil),
		wire.Execute: complete("SELECT 0"), wire.Close: wire.AppendCloseComplete(nil),
		wire.Describe: wire.AppendNoData(wire.AppendParameterDescription(nil, nil)), wire.Sync: wire.AppendReadyForQuery(nil, w.statuses[s])}
	if m.Kind == wire.Describe && len(m.Body()) == 0 {
		return fault("ERROR", "08P01")
	}
	if m.Kind != wire.Query {
		return simple[m.Kind]
	}
	sql := detail(m)
	if strings.HasPrefix(sql, "SET LOCAL statement_timeout") {
		w.catalogs++
		return catalogAnswer(ofHerd...)
	}
	w.got = append(w.got, fmt.Sprint(s.server.Key.Node, " ", sql))
	word := strings.ToUpper(strings.Fields(sql)[0])
	switch word {
	case "BEGIN":
		w.statuses[s] = wire.InTransaction
	case "COMMIT", "ROLLBACK":
		w.statuses[s] = wire.Idle
	case "BAD":
		if w.statuses[s] == wire.InTransaction {
			w.statuses[s] = wire.Failed
		}
		return append(fault("ERROR", "42601"), wire.AppendReadyForQuery(nil, w.statuses[s])...)
	}
	return append(complete(word), wire.AppendReadyForQuery(nil, w.statuses[s])...)
}

// sends is the event that the client sends this, and waits for all answers.
func (w *herdWorld) sends(bytes ...[]byte) {
	w.then(w.client.says(bytes...))
	for range 4 {
		w.then(w.serve)
	}
	w.then(w.read)
}

// read notes what the client has got.
func (w *herdWorld) read() {
	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 0, 1, ' ', tabwriter.Debug)
	for p := w.client.out; len(p) > 0; {
		m, rest, err := w.client.cut.Next(p)
		if p = rest; err != nil {
			w.t.Fatal(err)
		}
		switch m.Kind {
		case wire.DataRow:
			v, _ := wire.ViewDataRow(m.Body())
			var cells []string
			for value := range v.Values.All() {
				cells = append(cells, string(value))
			}
			fmt.Fprintln(out, " "+strings.Join(cells, "\t "))
		case wire.ErrorResponse:
			fmt.Fprintln(out, wire.ViewFault(m.Body()).Message)
		case wire.NoticeResponse:
			w.notices = append(w.notices, wire.ViewFault(m.Body()).Message)
		}
	}
	out.Flush()
	if w.rows, w.client.out = table.String(), nil; w.rows == "" {
		w.rows = "nothing"
	}
}

func (w *herdWorld) live() {
	w.t.Helper()
	w.then(w.client.says(terminate))
	w.then(w.serve)
	w.session = New(w, w.set, w.who, w.client, 77, []byte{1, 2, 3, 4})
	if err := w.session.Run(); err != errLeft || len(w.moments) > 1 {
		w.t.Errorf("the session ended by %v, with %d moments not yet run", err, len(w.moments))
	}
}

// explanations are the cases of testdata/explain.txt, in its order.
var explanations = []struct {
	name string
	set  func(w *herdWorld)
	sent []string // what is sent before; "" lets the known positions become old
	sql  string
}{
	{"a read", nil, nil, "SELECT * FROM t"},
	{"a write", nil, nil, "INSERT INTO t VALUES (1)"},
	{"a function that writes", nil, nil, "SELECT vol()"},
	{"an unlogged table", nil, nil, "SELECT * FROM log"},
	{"a hint", nil, nil, "/*NO LOAD BALANCE*/ SELECT * FROM t"},
	{"a node's hint", nil, nil, "/*node:2*/ SELECT * FROM t"},
	{"not SQL", nil, nil, "SELEKT * FROM t"},
	{"several statements", nil, nil, "SELECT 1; DELETE FROM t"},
	{"no statement", nil, nil, ""},
	{"pgherd's own", nil, nil, "show a"},
	{"what changes the session", nil, nil, "SELECT set_config('work_mem', '1MB', false)"},
	{"BEGIN", nil, nil, "BEGIN"},
	{"in a transaction whose BEGIN is held back", nil, []string{"BEGIN"}, "SELECT * FROM t"},
	{"the end of such a transaction", nil, []string{"BEGIN"}, "COMMIT"},
	{"a transaction that has read", nil, []string{"BEGIN", "SELECT * FROM t"}, "SELECT * FROM u"},
	{"a transaction that has read, and would write", nil, []string{"BEGIN", "SELECT * FROM t"}, "DELETE FROM t"},
	{"a transaction that has written", nil, []string{"BEGIN", "DELETE FROM t"}, "SELECT * FROM t"},
	{"a transaction that has failed", nil, []string{"BEGIN", "DELETE FROM t", "BAD"}, "SELECT * FROM t"},
	{"a transaction with one snapshot, on a standby", nil, []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SELECT * FROM t"}, "DELETE FROM t"},
	{"what such a transaction cannot have", nil, []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "SELECT * FROM t"}, "SELECT setseed(0.5)"},
	{"a transaction begun READ WRITE", nil, []string{"BEGIN READ WRITE"}, "SELECT * FROM t"},
	{"a pinned session", nil, []string{"SELECT setseed(0.5)"}, "SELECT * FROM t"},
	{"after a write, not replayed", func(w *herdWorld) { w.of = []uint64{0x3000100, 0x3000060, 0x3000000}; w.written = 0x3000100 },
		[]string{"DELETE FROM t", ""}, "SELECT * FROM t"},
	{"after a write, replayed by one", func(w *herdWorld) { w.of = []uint64{0x3000100, 0x3000060, 0x3000100}; w.written = 0x3000100 },
		[]string{"DELETE FROM t", ""}, "SELECT * FROM t"},
	{"after a write of which nobody knows where it ended", nil, []string{"DELETE FROM t"}, "SELECT * FROM t"},
	{"a node is down, another is late", func(w *herdWorld) {
		w.view.Nodes[1].Status, w.view.Nodes[2].DelayBytes = nodes.Down, 2000
		w.set.Routing.Balance.DelayBytes = 1000
	}, nil, "SELECT * FROM t"},
	{"balance_expression, and a node for each read", func(w *herdWorld) {
		w.set.Routing.PerStatement = true
		w.set.Routing.Balance.Expression, _ = route.ParseExpression("node.weight < 0.5")
	}, nil, "SELECT * FROM t"},
	{"a preference", func(w *herdWorld) {
		w.set.Routing.Balance.Databases, _ = route.ParsePreferences("app:primary")
	}, nil, "SELECT * FROM t"},
	{"no primary", func(w *herdWorld) { w.view.Nodes[0].Status = nodes.Down }, nil, "DELETE FROM t"},
	{"load_balance_mode = off", func(w *herdWorld) { w.set.Routing = nil }, nil, "SELECT * FROM t"},
	{"a signal", func(w *herdWorld) { w.holds = held }, nil, "SELECT pg_terminate_backend(22)"},
	{"a signal to a process of nobody's", func(w *herdWorld) { w.holds = held }, nil, "SELECT pg_terminate_backend(99)"},
	{"a signal in a transaction that has read", func(w *herdWorld) { w.holds = held }, []string{"BEGIN", "SELECT * FROM t"}, "SELECT pg_terminate_backend(22)"},
	{"a read behind a signal", func(w *herdWorld) { w.holds = held }, []string{"BEGIN", "SELECT pg_terminate_backend(22)"}, "SELECT * FROM t"},
	{"the catalog is not up to date", func(w *herdWorld) { w.set.Catalogs.Entry("app").Changed() }, nil, "SELECT * FROM t"},
	{"a table that may be new", func(w *herdWorld) { w.set.Catalogs.Entry("app").Refresh(time.Unix(0, 0)) }, nil, "SELECT * FROM fresh"},
	{"the catalog is not up to date, in a transaction", func(w *herdWorld) { w.set.Catalogs.Entry("app").Changed() }, []string{"BEGIN"}, "SELECT * FROM t"},
}

// TestExplainAsksTheCatalog checks that EXPLAIN ROUTE asks for the catalog if that is due, once,
// and explains by the answer.
func TestExplainAsksTheCatalog(t *testing.T) {
	for _, c := range explanations {
		want := 0
		if c.name == "the catalog is not up to date" || c.name == "a table that may be new" {
			want = 1
		}
		w := newHerdWorld(t)
		if c.set != nil {
			c.set(w)
		}
		asked := -1
		if len(c.sent) == 0 {
			w.sends(simple("EXPLAIN ROUTE " + c.sql))
			w.then(func() { asked = w.catalogs })
			if w.live(); asked != want {
				t.Errorf("%s: got %d questions for the catalog, want %d", c.name, asked, want)
			}
		}
	}
}

// TestExplainVerbose checks that VERBOSE shows every rule in order, and that without it only the
// rules that apply are shown.
func TestExplainVerbose(t *testing.T) {
	w := newHerdWorld(t)
	var all, some string
	w.then(func() { w.client.out = nil })
	w.sends(simple("EXPLAIN ROUTE VERBOSE SELECT * FROM t"))
	w.then(func() { all = w.rows })
	w.sends(simple("EXPLAIN ROUTE SELECT * FROM t"))
	w.then(func() { some = w.rows })
	w.live()
	rules := func(table string) (names []string) {
		for line := range strings.Lines(table) {
			if cells := strings.Split(line, "|"); strings.TrimSpace(cells[2]) != "-" {
				names = append(names, strings.TrimSpace(cells[1]))
			}
		}
		return names
	}
	if strings.Count(all, "| - ") < 10 || strings.Contains(some, "| - ") || !slices.Equal(rules(all), rules(some)) {
		t.Errorf("want every rule only with VERBOSE, and the same rules that apply\nwith VERBOSE:\n%s\nwithout:\n%s", all, some)
	}
}

var trailing = regexp.MustCompile(`(?m) +$`)

// TestExplainRoute compares with a file that is written for DBAs to read. Nothing reaches a server.
func TestExplainRoute(t *testing.T) {
	var file strings.Builder
	file.WriteString("EXPLAIN ROUTE, of a primary (node 0, without weight) and two standbys. t and u are\ntables, log is unlogged, vol() is volatile.\n")
	for _, c := range explanations {
		for _, extended := range []bool{false, true} {
			w := newHerdWorld(t)
			if c.set != nil {
				c.set(w)
			}
			w.then(func() { w.client.out = nil })
			for _, sql := range c.sent {
				if sql == "" {
					w.then(func() { w.now = w.now.Add(time.Second); w.asked2 = w.now })
					continue
				}
				w.sends(simple(sql))
			}
			sent := 0
			w.then(func() { w.rows, sent = "nothing", len(w.got) })
			sql := "EXPLAIN ROUTE " + c.sql
			rows := ""
			if extended {
				w.sends(bound(sql), syncs)
			} else {
				w.sends(simple(sql))
			}
			w.then(func() {
				if rows = w.rows; len(w.got) != sent {
					t.Errorf("%s: servers got %.80q, want nothing", c.name, w.got[sent:])
				}
			})
			w.live()
			text := fmt.Sprintf("\n%s\n%s\n%s", strings.Join(append([]string{"-- " + c.name}, c.sent...), "\n"), sql, rows)
			if text = trailing.ReplaceAllString(text, ""); !extended {
				file.WriteString(text)
			} else if !strings.HasSuffix(file.String(), text) {
				t.Errorf("%s: the extended protocol has another answer:\n%s", c.name, text)
			}
		}
	}
	const golden = "testdata/explain.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(file.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || file.String() != string(want) {
		t.Errorf("the explanations differ from the golden file (read: %v); run with -update, and see git diff %s", err, golden)
	}
}

// TestExplainTellsTheTruth checks that a statement sent right after its EXPLAIN ROUTE goes where that has said.
func TestExplainTellsTheTruth(t *testing.T) {
	for _, c := range explanations {
		w := newHerdWorld(t)
		if c.set != nil {
			c.set(w)
		}
		for _, sql := range c.sent {
			if sql == "" {
				w.then(func() { w.now = w.now.Add(time.Second); w.asked2 = w.now })
				continue
			}
			w.sends(simple(sql))
		}
		w.sends(simple("EXPLAIN ROUTE " + c.sql))
		said, sent := "", 0
		w.then(func() { said, sent = w.rows, len(w.got) })
		if c.sql == "" || c.name == "no primary" || strings.HasPrefix(c.name, "the catalog is not up to date,") {
			w.live()
			continue
		}
		w.then(w.client.says(simple(c.sql)))
		w.then(w.passes(time.Minute)) // lets the wait of a read end
		w.sends()
		w.then(func() {
			got := slices.DeleteFunc(slices.Clone(w.got[sent:]), func(s string) bool { return !strings.HasSuffix(s, " "+c.sql) })
			switch last := said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:]; {
			case len(got) == 0 && strings.Contains(last, "| node"):
				t.Errorf("%s: no server got the statement, but EXPLAIN ROUTE says\n%s", c.name, last)
			case len(got) > 0 && !strings.Contains(last, "| node "+got[0][:1]+" "):
				t.Errorf("%s: got %q, but EXPLAIN ROUTE says\n%s", c.name, got, last)
			}
		})
		w.live()
	}
}
