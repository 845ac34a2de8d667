package routing_test

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"pgherd/bench/herd"
)

// TestStatements checks that a statement that looks like a read is answered as by the primary alone, in both protocols,
// and that one that could write never reaches a standby.
func TestStatements(t *testing.T) {
	text, err := os.ReadFile("testdata/statements.txt")
	if err != nil {
		t.Fatal(err)
	}
	engines(t, func(t *testing.T, config string) {
		h, away := balancedHunt(t, config)
		for line := range strings.Lines(string(text)) {
			if _, sql, ok := strings.Cut(strings.TrimSpace(line), " "); ok && line[0] != '#' {
				h.twice(sql)
			}
		}
		ran := away()
		for line := range strings.Lines(string(text)) {
			where, sql, ok := strings.Cut(strings.TrimSpace(line), " ")
			if away := slices.Contains(ran, sql); ok && line[0] != '#' && away != (where == "away") {
				t.Errorf("%s: a standby ran %v", sql, away)
			}
		}
	})
}

// balancedHunt is a hunt through a pgherd that spreads reads. away returns the statements that have run on a standby since
// the last call.
func balancedHunt(t *testing.T, config string) (h *hunt, away func() []string) {
	h = &hunt{t: t, proxy: startProxy(t, balanced+config), direct: net.JoinHostPort("127.0.0.1", strconv.Itoa(world.herd.Nodes()[0].Port))}
	h.ready()
	from := [2]int{logged(t, 1), logged(t, 2)}
	return h, func() []string { return append(statementsIn(t, 1, from[0]), statementsIn(t, 2, from[1])...) }
}

// twice runs a statement in new sessions of either protocol, through pgherd and without it.
func (h *hunt) twice(sql string) {
	h.t.Helper()
	for form, messages := range forms(sql) {
		got, want := h.once(h.proxy.Addr(), herd.Database, messages), h.once(h.direct, twins, messages)
		if !slices.Equal(got, want) {
			h.t.Errorf("%s, %s\n got %s\nwant %s", sql, form, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
}

// forms are the messages of either protocol that run a text.
func forms(sql string) map[string][]pgproto3.FrontendMessage {
	return map[string][]pgproto3.FrontendMessage{
		"simple": {&pgproto3.Query{String: sql}},
		"extended": {&pgproto3.Parse{Query: sql}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'},
			&pgproto3.Execute{}, &pgproto3.Sync{}},
	}
}

func (h *hunt) once(address, database string, messages []pgproto3.FrontendMessage) []string {
	h.t.Helper()
	c, err := open(address, database)
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.leave()
	return c.say(step{send: messages})
}

// statementsIn are the statements of clients in a node's log from this position on.
func statementsIn(t *testing.T, node, from int) (all []string) {
	t.Helper()
	log, err := os.ReadFile(world.herd.Log(node))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log[from:])) {
		if !strings.HasPrefix(line, herd.User+"@"+herd.Database+" ") {
			continue // it is a statement of pgherd's own, or a further line of a statement
		}
		for _, before := range []string{"statement: ", "execute <unnamed>: ", "execute pgherd_"} {
			if _, after, ok := strings.Cut(line, before); ok {
				if strings.HasSuffix(before, "_") {
					_, after, _ = strings.Cut(after, ": ")
				}
				all = append(all, strings.TrimSpace(after))
			}
		}
	}
	return all
}
