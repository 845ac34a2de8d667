package leaks_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"pgherd/bench/herd"
)

const (
	mostClients = 3  // setup.sql has tables for so many; the proxy may open as many servers
	stepsPerRun = 80 // not counting the looks; enough for a few transactions of each client
	inOneTxn    = 5  // steps within a transaction, on average
)

// settingsOf are the settings that a user may set, by user.
type settingsOf map[string][]setting

// generator makes one script, all of whose choices come from the seed.
type generator struct {
	rand     *rand.Rand
	settings []setting
	actions  []form
	reads    []form
	wrappers []form
	client   int
	g        setting // the setting picked last, for {v}
	open     map[int]bool
}

// generate makes the script of a seed.
func generate(seed uint64, settings settingsOf) script {
	g := &generator{rand: rand.New(rand.NewPCG(seed, 0)), open: map[int]bool{}}
	s := script{stage: plain, user: herd.User, clients: 2 + g.rand.IntN(mostClients-1)}
	g.wrappers = wrappers
	if g.rand.IntN(8) == 0 {
		s.stage, g.wrappers = sly, slices.Concat(wrappers, slyWrappers)
	}
	g.actions, g.reads, g.wrappers = g.some(actions), g.some(reads), g.some(g.wrappers)
	if g.rand.IntN(4) == 0 {
		s.user = herd.Superuser
	}
	if g.settings = settings[s.user]; g.rand.IntN(2) == 0 { // only a few settings, so that clients set the same ones
		g.settings = slices.Clone(g.settings)
		g.rand.Shuffle(len(g.settings), func(i, j int) { g.settings[i], g.settings[j] = g.settings[j], g.settings[i] })
		g.settings = g.settings[:8]
	}
	for range stepsPerRun {
		g.client = 1 + g.rand.IntN(s.clients)
		s.steps = append(s.steps, g.step())
		if g.rand.IntN(2) == 0 { // not always, because the question itself ends the unnamed statement
			s.steps = append(s.steps, step{client: g.client, act: looks})
		}
		if g.rand.IntN(3) == 0 {
			s.steps = append(s.steps, step{client: 1 + g.rand.IntN(s.clients), act: looks})
		}
	}
	for n := range s.clients {
		s.steps = append(s.steps, step{client: n + 1, act: looks})
	}
	return s
}

// everySetting is a script for some settings. Two clients set each one in turn: for a transaction, for good, in a
// transaction that is rolled back, and, if hidden, once where no proxy sees it. Then they reset it.
func everySetting(settings []setting, hidden bool) script {
	s := script{stage: plain, user: herd.Superuser, clients: 2}
	add := func(client int, format string, values ...any) {
		s.steps = append(s.steps, line(client, fmt.Sprintf(format, values...)), step{client: 3 - client, act: looks}, step{client: client, act: looks})
	}
	for _, st := range settings {
		one, other := st.values[0], st.values[len(st.values)-1]
		if hidden {
			add(1, "SELECT public.run($x$SET %s = '%s'$x$)", st.name, one)
			add(2, "SELECT public.run($x$SET %s = '%s'$x$)", st.name, other)
			s.steps = append(s.steps, step{client: 1, act: leaves}, step{client: 2, act: leaves})
			continue
		}
		add(1, "BEGIN; SET LOCAL %s = '%s'; SELECT 1; COMMIT", st.name, one)
		add(1, "SET %s = '%s'", st.name, one)
		add(2, "SELECT set_config('%s', '%s', false)", st.name, other)
		add(1, "BEGIN; SET %s = '%s'; ROLLBACK", st.name, other)
		add(2, "RESET %s", st.name)
		add(1, "SET %s TO DEFAULT", st.name)
	}
	return s
}

func (g *generator) step() step {
	st := step{client: g.client, act: says}
	switch n := g.rand.IntN(100); {
	case n < 3:
		st.act, st.params = leaves, arrivals[g.rand.IntN(len(arrivals))]
		g.open[g.client] = false
	case n < 4:
		st.act, st.params = vanishes, arrivals[g.rand.IntN(len(arrivals))]
		g.open[g.client] = false
	case n < 5:
		st.act, st.send = seeds, simple(fmt.Sprintf("SELECT setseed(0.%d)", 1+g.rand.IntN(9)))
	case n < 7:
		st.act, st.send = draws, simple("SELECT random()")
	case n < 9:
		st.act, st.sql = defines, g.fill(definitions[g.rand.IntN(len(definitions))])
	case n < 10:
		st.act = reloads
	default:
		st.send = g.transact()
	}
	return st
}

// definitions change what the actions with "shifty" objects do.
var definitions = []string{
	"CREATE OR REPLACE FUNCTION public.shifty() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'calm'; END $$",
	"CREATE OR REPLACE FUNCTION public.shifty() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN set_config('{ph}', '{w}', false); END $$",
	"CREATE OR REPLACE FUNCTION public.shifty() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock_shared(4242); RETURN 'locked'; END $$",
	"CREATE OR REPLACE VIEW public.shiftyview AS SELECT public.shifty() AS x",
	"CREATE OR REPLACE VIEW public.shiftyview AS SELECT set_config('{ph}', '{w}', false) AS x",
	"DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW public.shiftyview AS SELECT ''calm''::text AS x'; END $$",
}

// transact is a step in or around a transaction. It is not certain that one is open, because it may have failed to begin.
func (g *generator) transact() []message {
	open := g.open[g.client]
	switch {
	case open && g.rand.IntN(inOneTxn) == 0:
		g.open[g.client] = false
		return g.either(g.fill(g.pick(ends)))
	case open && g.rand.IntN(6) == 0:
		return g.either(g.fill(g.pick(insides)))
	case !open && g.rand.IntN(8) == 0:
		g.open[g.client] = true
		return g.either(g.fill(g.pick(begins)))
	}
	return g.shape()
}

// some is the first form and some of the others, few or many. If everything happened in each script, every client would
// soon have a server for good, and nothing would be shared.
func (g *generator) some(forms []form) []form {
	percent := []int{5, 25, 100}[g.rand.IntN(3)]
	chosen := forms[:1:1]
	for _, f := range forms[1:] {
		if g.rand.IntN(100) < percent {
			chosen = append(chosen, f)
		}
	}
	return chosen
}

func (g *generator) pick(forms []form) string {
	total := 0
	for _, f := range forms {
		total += f.weight
	}
	n := g.rand.IntN(total)
	for _, f := range forms {
		if n -= f.weight; n < 0 {
			return f.text
		}
	}
	panic("unreachable: n was below the sum")
}

var hole = regexp.MustCompile(`\{[a-z]+\}`)

// fill replaces the words in braces; see forms_test.go.
func (g *generator) fill(text string) string {
	return hole.ReplaceAllStringFunc(text, func(braced string) string {
		switch word := braced[1 : len(braced)-1]; word {
		case "c":
			return fmt.Sprint(g.client)
		case "key":
			return fmt.Sprintf("%d%02d", g.client, g.rand.IntN(3))
		case "g":
			g.g = g.settings[g.rand.IntN(len(g.settings))]
			return g.g.name
		case "v":
			if len(g.g.values) == 0 { // {v} precedes the first {g}
				g.g = g.settings[g.rand.IntN(len(g.settings))]
			}
			return g.g.values[g.rand.IntN(len(g.g.values))]
		case "sql":
			return g.fill(g.pick(g.actions))
		case "read":
			return g.fill(g.pick(g.reads))
		default:
			choice, known := words[word]
			if !known {
				panic("no words for " + braced)
			}
			return choice[g.rand.IntN(len(choice))]
		}
	})
}

// wrapped is an action, plainly or hidden in a wrapper.
func (g *generator) wrapped() string { return apart(g.fill(g.pick(g.wrappers))) }

// apart gives other names to statements that are prepared where no proxy sees it. pgherd cannot know that a function
// prepares, executes or deallocates a name that the client has prepared by message, and on the server that statement has
// another name (docs/manual/pooling.md).
func apart(sql string) string {
	return unseen.ReplaceAllStringFunc(sql, func(quoted string) string { return protocolName.ReplaceAllString(quoted, "q$1") })
}

var (
	unseen       = regexp.MustCompile(`(?s)\$x\$.*?\$x\$`)
	protocolName = regexp.MustCompile(`\bp([123])\b`)
)

// single does the same for the extended protocol, which accepts one statement at a time; sometimes there are more, which
// fails.
func (g *generator) single() (sql string) {
	for range 3 {
		if sql = g.wrapped(); !strings.Contains(sql, ";") {
			break
		}
	}
	return sql
}

func (g *generator) name() string { return fmt.Sprint("p", 1+g.rand.IntN(3)) }

func simple(sql string) []message { return []message{{kind: query, sql: sql}} }

// once has the messages by which a driver runs a statement once, without a Sync.
func once(name, sql string) []message {
	return []message{{kind: parse, name: name, sql: sql}, {kind: bind, name: name}, {kind: execute}}
}

// again runs a statement that should be prepared.
func again(name string) []message { return []message{{kind: bind, name: name}, {kind: execute}} }

func join(parts ...[]message) (all []message) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// either sends a statement by the simple or by the extended protocol.
func (g *generator) either(sql string) []message {
	if g.rand.IntN(4) == 0 {
		return join(once("", sql), synced)
	}
	return simple(sql)
}

var (
	synced  = []message{{kind: sync}}
	failing = once("", "SELECT 1 / 0")
)

// shapes are the ways in which messages of the protocol run a statement.
var shapes = []struct {
	weight int
	make   func(*generator) []message
}{
	{60, func(g *generator) []message { return simple(g.wrapped()) }},
	{14, func(g *generator) []message { return join(once("", g.single()), synced) }},
	{5, func(g *generator) []message {
		return []message{{kind: parse, name: g.name(), sql: g.single()}, {kind: sync}}
	}},
	{9, func(g *generator) []message {
		return []message{{kind: parse, name: g.name(), sql: g.fill("{read}")}, {kind: sync}}
	}},
	{10, func(g *generator) []message { return join(again(g.name()), synced) }},
	{4, func(g *generator) []message { return join(once(g.name(), g.fill("{read}")), synced) }},
	{2, func(g *generator) []message { return join(again(""), synced) }},
	{2, func(g *generator) []message { return []message{{kind: describe, name: g.name()}, {kind: sync}} }},
	{4, func(g *generator) []message { return []message{{kind: closing, name: g.name()}, {kind: sync}} }},
	{3, func(g *generator) []message {
		name := g.name()
		return join([]message{{kind: closing, name: name}}, once(name, g.single()), synced)
	}},
	{4, func(g *generator) []message { return join(once("", g.single()), once("", g.single()), synced) }},
	{2, func(g *generator) []message {
		return join(once("", g.single()), synced, once("", g.single()), synced, again(g.name()), synced)
	}},
	{3, func(g *generator) []message {
		return join(once("", g.single()), failing, once(g.name(), g.single()), synced, once("", g.single()), synced)
	}},
	{2, func(g *generator) []message { return join(once(g.name(), g.fill("{read}")), failing, synced) }},
	{2, func(g *generator) []message {
		return []message{{kind: parse, sql: "SELECT $1::date, $2::text"}, {kind: bind, args: []string{"2/3/2024", "x"}}, {kind: execute}, {kind: sync}}
	}},
	{2, func(g *generator) []message {
		rows := message{kind: execute, portal: "rows", rows: 2}
		return []message{{kind: parse, sql: "SELECT generate_series(1, 5)"}, {kind: bind, portal: "rows"}, rows, rows, {kind: sync}, rows, {kind: sync}}
	}},
	{1, func(g *generator) []message {
		return join(once("", "BEGIN"), once("", g.single()), once("", "COMMIT"), synced)
	}},
	{1, func(*generator) []message { return synced }},
}

func (g *generator) shape() []message {
	total := 0
	for _, s := range shapes {
		total += s.weight
	}
	n := g.rand.IntN(total)
	for _, s := range shapes {
		if n -= s.weight; n < 0 {
			return s.make(g)
		}
	}
	panic("unreachable: n was below the sum")
}
