package prepared_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"pgherd/bench/herd"
)

// statement is what a client knows of a statement that it has prepared.
type statement struct {
	reads  bool
	parsed int    // number of alterations of the table by then
	column uint32 // the type of its result that the client was told; 0 if it was told none
	param  uint32 // the same for its parameter
}

// client is one of pgherd's clients.
type client struct {
	*talk
	statements map[string]*statement
	touched    bool // the client's open block has locked the tables
}

// tally counts what a run has done, which shows what a pass is worth.
type tally struct{ right, changed, refreshed int }

// game is one run.
type game struct {
	address string
	clients []*client
	direct  *talk
	pool    *talk // another client, which alters
	now     string
	altered int
	plain   bool // the server's statements have the clients' names
	tally   *tally
}

// play does the steps one by one. An error is the first wrong answer.
func play(t *testing.T, address string, plain bool, steps []step, all *tally) (err error) {
	t.Helper()
	g := &game{address: address, now: "int4", plain: plain, tally: all}
	defer g.close()
	if err := g.open(); err != nil {
		t.Fatal(err)
	}
	for i, s := range steps {
		if *show {
			t.Logf("%d %v (a is %s)", i+1, s, g.now)
		}
		if err := g.step(s); err != nil {
			return fmt.Errorf("step %d, %v: %w", i+1, s, err)
		}
	}
	return nil
}

func (g *game) open() (err error) {
	node := world.herd.Nodes()[0]
	if g.direct, err = open(fmt.Sprintf("%s:%d", node.Host, node.Port)); err != nil {
		return err
	}
	if err := g.direct.query("DROP TABLE IF EXISTS t, u; CREATE TABLE t (a int4); INSERT INTO t VALUES (1); CREATE TABLE u (a int4)"); err != nil {
		return err
	}
	if g.pool, err = open(g.address); err != nil {
		return err
	}
	if err := g.pool.query("RECONNECT " + herd.Database); err != nil { // new servers, so that a seed always leads to the same run
		return err
	}
	for range clients {
		c := &client{}
		if err := g.arrive(c); err != nil {
			return err
		}
		g.clients = append(g.clients, c)
	}
	return g.settle()
}

func (g *game) arrive(c *client) (err error) {
	c.statements, c.touched = map[string]*statement{}, false
	c.talk, err = open(g.address)
	return err
}

func (g *game) close() {
	for _, t := range []*talk{g.direct, g.pool} {
		if t != nil {
			t.close()
		}
	}
	for _, c := range g.clients {
		c.talk.close()
	}
}

// settle waits until the standby has replayed what the primary has written.
func (g *game) settle() error {
	for deadline := time.Now().Add(answerLimit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		a, err := g.direct.say(&pgproto3.Query{String: "SELECT bool_and(replay_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication"})
		if err != nil || len(a.values) == 1 && string(a.values[0]) == "t" {
			return err
		}
	}
	return fmt.Errorf("the standby does not catch up")
}

func (g *game) step(s step) error {
	c := g.clients[s.client]
	if c.status == 'E' && s.act != alters && s.act != leaves {
		s.act = ends
	}
	switch s.act {
	case alters:
		return g.alter(s)
	case leaves:
		c.close()
		return g.arrive(c)
	case begins:
		if c.status == 'T' {
			return nil
		}
		return g.block(c, "BEGIN")
	case ends:
		c.touched = false
		if c.status == 'I' {
			return nil
		}
		return g.block(c, "ROLLBACK")
	case prepares:
		return g.prepare(c, s)
	}
	st := c.statements[s.name]
	if st == nil {
		return nil
	}
	c.touched = c.touched || c.status == 'T'
	if s.act == describes {
		return g.describe(c, s, st)
	}
	return g.run(c, s, st)
}

// block begins or ends a transaction block. The simple query destroys the unnamed statement.
func (g *game) block(c *client, sql string) error {
	delete(c.statements, "")
	return c.query(sql)
}

// alter changes the column's type, unless a client has locked the tables.
func (g *game) alter(s step) error {
	for _, c := range g.clients {
		if c.touched {
			return nil
		}
	}
	sql := strings.ReplaceAll("ALTER TABLE t ALTER a TYPE NEW USING a::text::NEW; ALTER TABLE u ALTER a TYPE NEW USING a::text::NEW", "NEW", s.to)
	by := g.direct
	if s.through {
		by = g.pool
	}
	if s.to != g.now {
		g.altered++
	}
	g.now = s.to
	if err := by.query(sql); err != nil {
		return err
	}
	return g.settle()
}

// prepare prepares a new statement, for which nothing counts that was told of an earlier one.
func (g *game) prepare(c *client, s step) error {
	sql := "INSERT INTO u VALUES ($1)"
	if s.reads {
		sql = "SELECT a FROM t"
	}
	st := &statement{reads: s.reads, parsed: g.altered}
	messages := []pgproto3.FrontendMessage{&pgproto3.Close{ObjectType: 'S', Name: s.name}, &pgproto3.Parse{Name: s.name, Query: sql}}
	if s.tells {
		messages = append(messages, &pgproto3.Describe{ObjectType: 'S', Name: s.name})
	}
	a, err := c.say(append(messages, &pgproto3.Sync{})...)
	c.statements[s.name], c.touched = st, c.touched || c.status != 'I'
	switch {
	case err != nil:
		return err
	case a.code != "":
		return fmt.Errorf("a new statement is not prepared: %s %s", a.code, a.message)
	case s.tells:
		return g.told(st, a)
	}
	return nil
}

// told checks the answer to a Describe of a statement.
func (g *game) told(st *statement, a answer) error {
	if a.parameters != 1 || a.columns != 1 {
		return fmt.Errorf("got %d parameter descriptions and %d row descriptions", a.parameters, a.columns)
	}
	if st.reads && a.column != oids[g.now] {
		return fmt.Errorf("the client was told type %d, but a is %s", a.column, g.now)
	}
	st.column, st.param = a.column, a.parameter
	return nil
}

// breaks says that the client may get the error that its statement has changed.
func (g *game) breaks(c *client, name string, st *statement) bool {
	if g.plain || name == "" && st.column == 0 {
		return st.parsed != g.altered
	}
	promised := st.column != 0
	return promised && st.column != oids[g.now] || !promised && c.touched && st.parsed != g.altered
}

func (g *game) describe(c *client, s step, st *statement) error {
	a, err := c.say(&pgproto3.Describe{ObjectType: 'S', Name: s.name}, &pgproto3.Sync{})
	switch {
	case err != nil:
		return err
	case a.code == "0A000" && (g.plain && st.parsed != g.altered || st.column != 0 && st.column != oids[g.now]) && a.parameters < 2:
		g.tally.changed++
		return nil
	case a.code == "42804" && !st.reads && st.parsed != g.altered:
		return nil
	case a.code != "":
		return fmt.Errorf("%s %s after %d parameter descriptions", a.code, a.message, a.parameters)
	}
	return g.told(st, a)
}

func (g *game) run(c *client, s step, st *statement) error {
	bind := &pgproto3.Bind{PreparedStatement: s.name, ResultFormatCodes: []int16{1}}
	if !st.reads {
		bind.ResultFormatCodes = nil
		bind.Parameters, bind.ParameterFormatCodes = [][]byte{binaryOne(st.param)}, []int16{map[bool]int16{true: 1}[st.param != 0]}
	}
	messages := []pgproto3.FrontendMessage{bind}
	if s.act == shows {
		messages = append(messages, &pgproto3.Describe{ObjectType: 'P'})
	}
	a, err := c.say(append(messages, &pgproto3.Execute{}, &pgproto3.Sync{})...)
	switch {
	case err != nil:
		return err
	case !st.reads:
		return g.inserted(st, a)
	case a.code == "0A000" && g.breaks(c, s.name, st):
		g.tally.changed++
		return nil
	case a.code != "":
		return fmt.Errorf("%s %s", a.code, a.message)
	case s.act == shows && a.columns != 1:
		return fmt.Errorf("got %d row descriptions", a.columns)
	case st.column != 0 && st.column != oids[g.now]:
		return fmt.Errorf("the client was told type %d, but not that a is %s now", st.column, g.now)
	}
	if s.act == shows {
		st.column = a.column
	}
	return g.read(st, a)
}

// read reads a row by the type that the client knows.
func (g *game) read(st *statement, a answer) error {
	if len(a.values) != 1 {
		return fmt.Errorf("got %d rows", len(a.values))
	}
	if st.column == 0 { // the client would not know how to read it
		g.tally.refreshed++
		return nil
	}
	if want := binaryOne(st.column); string(want) != string(a.values[0]) {
		return fmt.Errorf("after type %d was told: got the bytes %x, want %x", st.column, a.values[0], want)
	}
	g.tally.right++
	return nil
}

// inserted checks the rows of the table, which always have the number one.
func (g *game) inserted(st *statement, a answer) error {
	if a.code == "42804" && st.parsed != g.altered { // PostgreSQL does not have this cast
		return nil
	}
	if a.code != "" {
		return fmt.Errorf("insert: %s %s", a.code, a.message)
	}
	found, err := g.direct.say(&pgproto3.Query{String: "SELECT a FROM u WHERE a::text <> '1' LIMIT 1"})
	if err == nil && len(found.values) > 0 {
		err = fmt.Errorf("the row has %q, after type %d was told", found.values[0], st.param)
	}
	return err
}
