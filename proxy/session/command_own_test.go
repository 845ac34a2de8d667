package session

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/command"
	"pgherd/proxy/wire"
)

// owns has commands about a session's own values. "pgpool set N" sets the idle limit to N seconds,
// "pgpool show" returns it, and "pgpool wrong" fails. It also has "show pool_x", as shows has.
type owns struct{}

type ownCommand string

func (owns) Find(sql []byte) (command.Command, bool) {
	if text, ok := strings.CutPrefix(string(sql), "pgpool "); ok {
		return ownCommand(text), true
	}
	return shows{}.Find(sql)
}

func (o ownCommand) Waits() bool { return true }

func (o ownCommand) Columns() []string {
	if o == "show" {
		return []string{"idle"}
	}
	return nil
}

func (o ownCommand) Tag(int) string { return strings.ToUpper(string(o)) }

func (o ownCommand) Run(by *command.Asker) ([][]string, error) {
	switch verb, n, _ := strings.Cut(string(o), " "); verb {
	case "show":
		return [][]string{{by.Values["idle"]}}, nil
	case "set":
		by.Values = map[string]string{"idle": n}
	case "reset":
		by.Values = nil
	case "warn":
		by.Warning = &wire.Fault{Severity: "WARNING", Code: "01000"}
	default:
		return nil, &wire.Fault{Severity: "ERROR", Code: "22023", Message: "it is wrong"}
	}
	return nil, nil
}

// overridden adds an Override to settings.
func overridden(set *Settings) *Settings {
	set.Commands = owns{}
	set.Override = func(values map[string]string) (*Settings, error) {
		if len(values) == 0 {
			return set, nil
		}
		n, err := strconv.Atoi(values["idle"])
		changed := *set
		changed.ClientIdle = time.Duration(n) * time.Second
		return &changed, err
	}
	return set
}

func newOwnWorld(t *testing.T) *world {
	w := newWorld(t)
	w.set = overridden(w.set)
	w.set.ClientIdle = time.Hour
	return w
}

// idles checks, as an event, that this is the idle limit in force.
func (w *world) idles(want time.Duration) func() {
	return func() { w.t.Helper(); same2(w.t, "the idle limit", w.session.set.ClientIdle, want) }
}

// TestOwnValues checks that a value which a session sets counts for it at once, is gone after a
// RESET, and that other sessions never see it.
func TestOwnValues(t *testing.T) {
	w := newOwnWorld(t)
	w.greeted(w.client.says(simple("pgpool set 5")))
	w.then(w.client.gets(t, "CommandComplete SET 5", "ReadyForQuery I"), w.idles(5*time.Second), w.client.says(simple("pgpool reset")))
	w.then(w.client.gets(t, "CommandComplete RESET", "ReadyForQuery I"), w.idles(time.Hour), w.client.says(simple("pgpool set x")))
	w.then(w.client.gets(t, "ErrorResponse ERROR XX000", "ReadyForQuery I"), w.idles(time.Hour), w.client.says(simple("pgpool wrong")))
	w.then(w.client.gets(t, "ErrorResponse ERROR 22023", "ReadyForQuery I"), w.client.says(simple("pgpool warn")))
	w.then(w.client.gets(t, "NoticeResponse WARNING 01000", "CommandComplete WARN", "ReadyForQuery I"), w.client.says(simple("pgpool set 7")))
	w.then(w.client.gets(t, "CommandComplete SET 7", "ReadyForQuery I"))
	w.run() // nothing more comes, so the limit ends the session
	w.client.gets(t, "ErrorResponse FATAL 57P05")()
	same2(t, "time until the session ended", w.now.Sub(time.Unix(1_000_000_000, 0)), 7*time.Second)
	same2(t, "checkouts", len(w.asked), 0)
	same2(t, "other sessions' idle limit", w.set.ClientIdle, time.Hour)
}

// TestOwnValuesOutliveAReload checks that a session's own values are kept on top of new settings.
func TestOwnValuesOutliveAReload(t *testing.T) {
	w := newOwnWorld(t)
	reloaded := overridden(&Settings{ClientIdle: time.Minute, QueryWait: time.Second})
	w.greeted(w.client.says(simple("pgpool set 5")))
	w.then(w.client.gets(t, "CommandComplete SET 5", "ReadyForQuery I"), func() { w.session.Configure(reloaded) })
	w.then(w.idles(5*time.Second), func() { same2(t, "another setting", w.session.set.QueryWait, time.Second) },
		w.client.says(simple("pgpool reset")))
	w.then(w.client.gets(t, "CommandComplete RESET", "ReadyForQuery I"), w.idles(time.Minute), w.client.leaves())
	w.run()
}

// TestOwnValuesInAPipeline checks that requests before a SET are answered under the old values, and
// requests after it under the new ones.
func TestOwnValuesInAPipeline(t *testing.T) {
	w := newOwnWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("q1"), simple("pgpool set 5"), simple("pgpool show"), simple("q2")))
	w.then(s.gets(t, "Query q1"), w.idles(time.Hour), s.says(done("Q1")))
	w.then(w.client.gets(t, "CommandComplete Q1", "ReadyForQuery I", "CommandComplete SET 5", "ReadyForQuery I",
		"RowDescription", "DataRow 5", "CommandComplete SHOW", "ReadyForQuery I"),
		w.idles(5*time.Second), s.gets(t, "Query q2"), s.says(done("Q2")))
	w.then(w.client.gets(t, "CommandComplete Q2", "ReadyForQuery I"))
	w.bows(s)
	w.run()
	w.ended("returned")
}

// extended is a command to pgherd in the extended protocol, without a Describe and the Sync.
func extended(sql string) []byte { return append(parse(sql), execute...) }

// TestOwnValuesAreSkipped checks that nothing is set after an error, up to the Sync.
func TestOwnValuesAreSkipped(t *testing.T) {
	w := newOwnWorld(t)
	s := w.server()
	w.greeted(w.client.says(parse("q"), extended("pgpool set 5"), syncs))
	w.then(s.gets(t, "Parse", "Flush"), s.says(fault("ERROR", "42601")))
	w.then(s.gets(t, "Sync"), w.client.gets(t, "ErrorResponse ERROR 42601"), w.idles(time.Hour), s.says(ready))
	w.then(w.client.gets(t, "ReadyForQuery I"))
	w.bows(s)
	w.run()
}

// TestOwnErrorSkips checks that requests after the error of a command to pgherd are not run, up to the Sync.
func TestOwnErrorSkips(t *testing.T) {
	w := newOwnWorld(t)
	w.greeted(w.client.says(extended("pgpool wrong"), extended("pgpool set 5"), extended("q"), syncs))
	w.then(w.client.gets(t, "ParseComplete", "BindComplete", "ErrorResponse ERROR 22023", "ReadyForQuery I"),
		w.idles(time.Hour), w.client.leaves())
	w.run()
	same2(t, "checkouts", len(w.asked), 0)
}

// TestOwnErrorInATransaction checks that in the extended protocol an error of a command to pgherd fails the transaction, as an
// error of PostgreSQL's does.
func TestOwnErrorInATransaction(t *testing.T) {
	w := newOwnWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("begin")))
	w.then(s.gets(t, "Query begin"), s.says(complete("BEGIN"), wire.AppendReadyForQuery(nil, wire.InTransaction)))
	w.then(w.client.gets(t, "CommandComplete BEGIN", "ReadyForQuery T"), w.client.says(extended("pgpool wrong"), syncs))
	w.then(s.gets(t, "Parse", "Sync"), s.says(fault("ERROR", "42601"), wire.AppendReadyForQuery(nil, wire.Failed)))
	w.then(w.client.gets(t, "ParseComplete", "BindComplete", "ErrorResponse ERROR 22023", "ReadyForQuery E"))
	w.bows(s)
	w.run()
}

// TestOwnStatementRunsAgain checks that a prepared command sees the values at the time when it runs.
func TestOwnStatementRunsAgain(t *testing.T) {
	w := newOwnWorld(t)
	w.greeted(w.client.says(parse("pgpool show"), execute, syncs, simple("pgpool set 5"), execute, syncs))
	w.then(w.client.gets(t, "ParseComplete", "BindComplete", "DataRow", "CommandComplete SHOW", "ReadyForQuery I",
		"CommandComplete SET 5", "ReadyForQuery I", "BindComplete", "DataRow 5", "CommandComplete SHOW", "ReadyForQuery I"),
		w.client.leaves())
	w.run()
}

// TestSeveralCommands checks that a query string of several commands to pgherd has one
// ReadyForQuery, and that one with SQL in it is refused as a whole.
func TestSeveralCommands(t *testing.T) {
	row := func(name string) []string {
		return []string{"RowDescription", "DataRow " + name, "CommandComplete SELECT 1"}
	}
	ends := []string{"ReadyForQuery I"}
	refused := []string{"ErrorResponse ERROR 0A000", "ReadyForQuery I"}
	for sql, want := range map[string][]string{
		"show pool_a; show pool_b":                                      slices.Concat(row("pool_a"), row("pool_b"), ends),
		" show pool_a;; -- x\n show pool_b ; ;":                         slices.Concat(row("pool_a"), row("pool_b"), ends),
		"/* ; */ show pool_a /* ; */; show b":                           slices.Concat(row("pool_a"), row("b"), ends),
		"pgpool set 5; pgpool show":                                     slices.Concat([]string{"CommandComplete SET 5", "RowDescription", "DataRow 5", "CommandComplete SHOW"}, ends),
		"show pool_a; pgpool wrong; show pool_b":                        slices.Concat(row("pool_a"), []string{"ErrorResponse ERROR 22023"}, ends),
		"show pool_a; select 1":                                         refused,
		"select 1; pgpool show":                                         refused,
		"insert into t values (';'); PgPool x":                          refused,
		"pgpool set 5; select ';":                                       refused,
		"pgpool set 5; /* never":                                        refused,
		strings.Repeat("show pool_a;", command.Limit+1) + "show pool_b": {"ErrorResponse ERROR 54000", "ReadyForQuery I"},
	} {
		t.Run(sql[:min(len(sql), 40)], func(t *testing.T) {
			w := newOwnWorld(t)
			w.greeted(w.client.says(simple(sql)))
			w.then(w.client.gets(t, want...), w.is(Idle), w.client.leaves())
			w.run()
			same2(t, "checkouts", len(w.asked), 0)
			if slices.Equal(want, refused) && w.session.values != nil {
				t.Error("a command of the refused string was run")
			}
		})
	}
}

// TestSQLStaysSQL checks that a string without a command to pgherd goes to the server as it is.
func TestSQLStaysSQL(t *testing.T) {
	for _, sql := range []string{"select 1; select pool", "select '; show pool_a'", "select 1; -- ; show pool_a",
		"select $$; show pool_a; $$; select 2", "select ';pool"} {
		w := newOwnWorld(t)
		s := w.server()
		w.greeted(w.client.says(simple(sql)))
		w.then(s.gets(t, "Query "+sql), s.says(done("Q")))
		w.then(w.client.gets(t, "CommandComplete Q", "ReadyForQuery I"))
		w.bows(s)
		w.run()
	}
}

// TestMixedInATransaction checks that a string that mixes commands and SQL fails the transaction,
// as any error does.
func TestMixedInATransaction(t *testing.T) {
	w := newOwnWorld(t)
	s := w.server()
	w.greeted(w.client.says(simple("begin")))
	w.then(s.gets(t, "Query begin"), s.says(complete("BEGIN"), wire.AppendReadyForQuery(nil, wire.InTransaction)))
	w.then(w.client.gets(t, "CommandComplete BEGIN", "ReadyForQuery T"), w.client.says(simple("insert x; show pool_a")))
	w.then(s.gets(t, "Query refused by pgherd"), s.says(fault("ERROR", "42601"), wire.AppendReadyForQuery(nil, wire.Failed)))
	w.then(w.client.gets(t, "ErrorResponse ERROR 0A000", "ReadyForQuery E"))
	w.bows(s)
	w.run()
}

// stops has a command during which the worker closes.
type stops struct{ w *world }

type stop struct {
	ownCommand
	w *world
}

func (s stops) Find(sql []byte) (command.Command, bool) { return stop{"set 5", s.w}, true }

func (s stop) Run(by *command.Asker) ([][]string, error) {
	s.w.stopped = true
	return s.ownCommand.Run(by)
}

// TestOwnWhileStopping checks that a worker that closes ends the session, without an error of the
// command.
func TestOwnWhileStopping(t *testing.T) {
	w := newOwnWorld(t)
	w.set.Commands = stops{w}
	w.greeted(w.client.says(simple("pgpool set 5")))
	w.run()
	if !errors.Is(w.err, ErrStopped) || w.session.values != nil {
		t.Error("the session ended with", w.err, "and values", w.session.values, "- want ErrStopped and none")
	}
}

// tally counts how often its only command is run.
type tally struct {
	show
	runs *int
}

func (c tally) Find([]byte) (command.Command, bool) { return c, true }

func (c tally) Run(*command.Asker) ([][]string, error) {
	*c.runs++
	return nil, nil
}

// TestSkippedCommandIsNotRun checks that a command that is skipped does not run; it may be a KILL.
func TestSkippedCommandIsNotRun(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	runs := 0
	w.greeted(w.client.says(wire.AppendBind(nil, &wire.BindView{Statement: []byte("none")}), wire.AppendFlush(nil)))
	w.then(s.says(fault("ERROR", "26000")), func() { w.set.Commands = tally{"x", &runs} }, w.client.says(extended("x"), syncs))
	w.then(w.client.gets(t, "ErrorResponse ERROR 26000"), s.gets(t, "Bind", "Flush", "Sync"), s.says(ready))
	w.then(w.client.gets(t, "ReadyForQuery I"))
	w.bows(s)
	w.run()
	same2(t, "runs", runs, 0)
}
