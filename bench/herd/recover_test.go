package herd

import (
	"context"
	"testing"
)

// TestFormerPrimaryBecomesStandby loses the primary, writes on the other node, and makes a
// standby of the one that was lost in both ways.
func TestFormerPrimaryBecomesStandby(t *testing.T) {
	t.Parallel()
	h := start(t, Settings{Standbys: 1, Config: []string{"full_page_writes = on"}})
	do := func(node int, sql string) {
		t.Helper()
		if _, err := h.ExecOn(t.Context(), node, sql); err != nil {
			t.Fatal(err)
		}
	}
	do(0, "CREATE TABLE t (i int)")
	if err := h.WaitStreaming(t.Context()); err != nil {
		t.Fatal(err)
	}
	for try, recover := range []func(context.Context, int, int) error{h.Rewind, h.Copy} {
		lost, next := try, 1-try
		if err := h.Slay(lost); err != nil {
			t.Fatal(err)
		}
		do(next, "SELECT pg_promote()")
		do(next, "INSERT INTO t VALUES (1)")
		if err := recover(t.Context(), lost, next); err != nil {
			t.Fatal(err)
		}
		err := poll(t.Context(), startLimit, func() (bool, error) {
			out, err := h.ExecOn(t.Context(), lost, "SELECT count(*) || ' ' || pg_is_in_recovery() FROM t")
			return out == []string{"1 true", "2 true"}[try], err
		})
		if err != nil {
			t.Errorf("node %d as a standby of node %d: %v", lost, next, err)
		}
	}
}
