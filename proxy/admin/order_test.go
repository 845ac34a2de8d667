package admin

import (
	"context"
	"errors"
	"slices"
	"testing"

	"pgherd/proxy/wire"
)

// orders notes what a Control is told.
type orders []string

func (o *orders) Pause(_ context.Context, db string) error { *o = append(*o, "pause "+db); return nil }
func (o *orders) Resume(db string)                         { *o = append(*o, "resume "+db) }
func (o *orders) Reconnect(db string)                      { *o = append(*o, "reconnect "+db) }
func (o *orders) Kill(_ context.Context, db string) error  { *o = append(*o, "kill "+db); return nil }

// TestOrders: who may, and what is understood.
func TestOrders(t *testing.T) {
	for _, row := range []struct{ sql, want, tag string }{
		{"PAUSE", "pause ", "PAUSE"},
		{" pause  App ; ", "pause app", "PAUSE"},
		{`Resume "App"`, "resume App", "RESUME"},
		{`KILL "a""b"`, `kill a"b`, "KILL"},
		{"reconnect app;", "reconnect app", "RECONNECT"},
	} {
		var told orders
		c, ok := (&Commands{Control: &told}).Find([]byte(row.sql))
		if !ok {
			t.Errorf("%q is not found", row.sql)
			continue
		}
		fault, refused := errors.AsType[*wire.Fault](second(c.Run(Asker{PID: 1})))
		if !refused || fault.Code != "42501" || len(told) > 0 {
			t.Errorf("%q: anybody may: %v", row.sql, told)
		}
		if _, err := c.Run(Asker{PID: 1, Admin: true}); err != nil || !slices.Equal(told, orders{row.want}) {
			t.Errorf("%q: %q, %v", row.sql, told, err)
		}
		if c.Tag(0) != row.tag || len(c.Columns()) > 0 {
			t.Errorf("%q completes with %q", row.sql, c.Tag(0))
		}
	}
	for _, sql := range []string{"pause a b", "pauses", "resume app now", "kill-app", "PAUSE app; select 1"} {
		if _, ok := (&Commands{}).Find([]byte(sql)); ok {
			t.Errorf("%q is taken for one of ours", sql)
		}
	}
}

func second(_ [][]string, err error) error { return err }
