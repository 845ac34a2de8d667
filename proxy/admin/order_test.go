package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgherd/proxy/wire"
)

// orders records what a Control is told.
type orders struct {
	told   []string
	paused map[string]*wire.Fault
	all    *wire.Fault
}

func (o *orders) note(text string) { o.told = append(o.told, text) }

func (o *orders) Pause(_ context.Context, db, by string) error {
	o.note("pause " + db + " " + by)
	return nil
}
func (o *orders) Reconnect(db string) { o.note("reconnect " + db) }
func (o *orders) Kill(_ context.Context, db, by string) error {
	o.note("kill " + db + " " + by)
	return nil
}
func (o *orders) Resume(_ context.Context, db string) error {
	o.note("resume " + db)
	if db == "" {
		o.all, o.paused = nil, nil
	}
	delete(o.paused, db)
	return nil
}

func (o *orders) Attach(_ context.Context, node int, by string) error {
	o.note(fmt.Sprint("attach ", node, " ", by))
	return nil
}
func (o *orders) Detach(_ context.Context, node int, by string) error {
	o.note(fmt.Sprint("detach ", node, " ", by))
	return nil
}
func (o *orders) Switchover(_ context.Context, node int, by string) error {
	o.note(fmt.Sprint("switchover ", node, " ", by))
	return nil
}
func (o *orders) Recover(_ context.Context, node int, by string) error {
	o.note(fmt.Sprint("recover ", node, " ", by))
	return nil
}
func (o *orders) Leader(_ context.Context, peer int, by string) error {
	o.note(fmt.Sprint("leader ", peer, " ", by))
	return nil
}
func (o *orders) Promote(_ context.Context, node int, by string) error {
	o.note(fmt.Sprint("promote ", node, " ", by))
	return nil
}

func (o *orders) Paused(db string) *wire.Fault {
	if o.all != nil {
		return o.all
	}
	return o.paused[db]
}

func exists(context.Context, string) error { return nil }

// TestResumeSaysWhatIsPaused checks that RESUME says what is still paused, and that there was nothing to end.
func TestResumeSaysWhatIsPaused(t *testing.T) {
	one, all := &wire.Fault{Message: "app is paused"}, &wire.Fault{Message: "all are paused", Hint: "RESUME"}
	for _, row := range []struct {
		sql     string
		control orders
		want    string
	}{
		{"RESUME app", orders{paused: map[string]*wire.Fault{"app": one}}, ""},
		{"RESUME app", orders{paused: map[string]*wire.Fault{"app": one}, all: all}, "it is still paused: all are paused"},
		{"RESUME app", orders{all: all}, "it is still paused: all are paused"},
		{"RESUME app", orders{}, "there was no pause to end"},
		{"RESUME", orders{all: all}, ""},
		{"RESUME", orders{}, ""},
	} {
		c, _ := (&Commands{Control: &row.control}).Find([]byte(row.sql))
		asker := Asker{Admin: true, Exists: exists}
		_, err := c.Run(&asker)
		got := ""
		if asker.Notice != nil {
			got = asker.Notice.Message
		}
		if err != nil || got != row.want {
			t.Errorf("%s with %+v: got notice %q, error %v", row.sql, row.control, got, err)
		}
	}
}

// TestOrdersOfNothing checks that no command is accepted for a database that does not exist. If the database is paused, it
// is not asked whether it exists, because the question would need a log-in there.
func TestOrdersOfNothing(t *testing.T) {
	none := &wire.Fault{Code: "3D000"}
	control := orders{paused: map[string]*wire.Fault{"gone": none}}
	asker := Asker{Admin: true, Exists: func(context.Context, string) error { return none }}
	for _, sql := range []string{"PAUSE x", "KILL x", "RECONNECT x", "RESUME x"} {
		c, _ := (&Commands{Control: &control}).Find([]byte(sql))
		if _, err := c.Run(&asker); err != none || len(control.told) > 0 {
			t.Errorf("%s: got error %v, and the Control was told %q", sql, err, control.told)
		}
	}
	for _, sql := range []string{"RESUME gone", "PAUSE"} {
		c, _ := (&Commands{Control: &control}).Find([]byte(sql))
		if _, err := c.Run(&asker); err != nil {
			t.Errorf("%s: got error %v", sql, err)
		}
	}
}

// TestOrders checks who may give commands, and how they are read.
func TestOrders(t *testing.T) {
	for _, row := range []struct{ sql, want, tag string }{
		{"PAUSE", "pause  alice", "PAUSE"},
		{" pause  App ; ", "pause app alice", "PAUSE"},
		{`Resume "App"`, "resume App", "RESUME"},
		{`KILL "a""b"`, `kill a"b alice`, "KILL"},
		{"reconnect app;", "reconnect app", "RECONNECT"},
		{"DETACH 2", "detach 2 alice", "DETACH"},
		{"attach 12;", "attach 12 alice", "ATTACH"},
		{"promote 1", "promote 1 alice", "PROMOTE"},
		{"recover 1", "recover 1 alice", "RECOVER"},
		{"LEADER 2", "leader 2 alice", "LEADER"},
		{"SWITCHOVER 1", "switchover 1 alice", "SWITCHOVER"},
	} {
		var told orders
		c, ok := (&Commands{Control: &told}).Find([]byte(row.sql))
		if !ok {
			t.Errorf("%q is not found", row.sql)
			continue
		}
		fault, refused := errors.AsType[*wire.Fault](second(c.Run(&Asker{PID: 1})))
		if !refused || fault.Code != "42501" || len(told.told) > 0 {
			t.Errorf("%q: a user who is no administrator may run it: %v", row.sql, told.told)
		}
		if _, err := c.Run(&Asker{PID: 1, User: "alice", Admin: true, Exists: exists}); err != nil || !slices.Equal(told.told, []string{row.want}) {
			t.Errorf("%q: the Control was told %q, error %v", row.sql, told.told, err)
		}
		if c.Tag(0) != row.tag || len(c.Columns()) > 0 {
			t.Errorf("%q completes with %q", row.sql, c.Tag(0))
		}
	}
	for _, sql := range []string{"pause a b", "pauses", "resume app now", "kill-app", "PAUSE app; select 1"} {
		if _, ok := (&Commands{}).Find([]byte(sql)); ok {
			t.Errorf("%q is found as a command of pgherd's", sql)
		}
	}
}

// TestOrdersOfNodes checks that a command whose argument is not the number of a node is refused
// before anything is done.
func TestOrdersOfNodes(t *testing.T) {
	for _, sql := range []string{"DETACH", "DETACH app", "DETACH -1", "ATTACH 1.5"} {
		var told orders
		c, _ := (&Commands{Control: &told}).Find([]byte(sql))
		_, err := c.Run(&Asker{Admin: true, Exists: exists})
		if fault, refused := errors.AsType[*wire.Fault](err); !refused || fault.Code != "22023" || len(told.told) > 0 {
			t.Errorf("%s: got error %v, and the Control was told %q", sql, err, told.told)
		}
	}
}

func second(_ [][]string, err error) error { return err }
