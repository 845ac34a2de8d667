package failover

import (
	"context"
	"strings"
	"testing"

	"pgherd/bench/herd"
)

// TestOldPrimaryComesBack starts the old primary again after a failover. pgherd does not use it, and SHOW
// POOL_NODES says why. Once it has been made a standby, by pg_rewind or as a fresh copy, it comes up by itself.
// Then the new primary is killed, too, and the third node takes its place.
func TestOldPrimaryComesBack(t *testing.T) {
	for _, way := range []string{"rewound", "copied"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := scene{herd: herd.Settings{Config: []string{"full_page_writes = on"}}, sync: anyOne, config: []string{"pool_mode = transaction", "auto_failback = on"}}.start(t)
			w.allUp()
			idle, writing := w.connect(), w.writes(3)
			w.ask(idle, "SET work_mem = '7MB'")
			sleepUntilWritten(w)
			w.must(w.herd.Slay(0))
			now := w.promoted(0)
			if is := w.shows("node0", "down"); !strings.Contains(is.reason, "refused") {
				t.Errorf("node 0 is down with the wrong reason %q", is.reason)
			}
			w.must(w.herd.Restart(w.ctx, 0))
			if is := w.shows("node0", "quarantine"); !strings.Contains(is.reason, "says that it is primary") {
				t.Errorf("node 0 is in quarantine with the wrong reason %q", is.reason)
			}
			standby := map[string]func(context.Context, int, int) error{"rewound": w.herd.Rewind, "copied": w.herd.Copy}[way]
			if way == "rewound" {
				w.must(w.herd.Shutdown(0))
			}
			w.must(standby(w.ctx, 0, now))
			w.allUp()

			w.must(w.herd.Slay(now))
			last := w.promoted(now)
			if got := w.ask(idle, "SHOW work_mem"); got != "7MB" {
				t.Errorf("an idle session has work_mem %s", got)
			}
			writing.end(last)
		})
	}
}

// TestSecondFailure kills the primary, and also the node that takes its place, while the first one is not back. The
// third node takes over, because it has all that was acknowledged. Commits are acknowledged again once there is a
// standby.
func TestSecondFailure(t *testing.T) {
	t.Parallel()
	w := start(t, "pool_mode = transaction", "auto_failback = on")
	w.allUp()
	idle, writing := w.connect(), w.writes(3)
	sleepUntilWritten(w)
	w.must(w.herd.Slay(0))
	second := w.promoted(0)
	third := 3 - second
	w.shows(name(third), "up")
	w.must(w.herd.Slay(second))
	if got := w.primary(idle); got != name(third) {
		t.Fatalf("the primary is %s, want node %d", got, third)
	}
	w.must(w.herd.Copy(w.ctx, 0, third))
	w.shows("node0", "up")
	if got := w.writesAgain(idle); got != name(third) {
		t.Errorf("after the second failure the primary is %s", got)
	}
	writing.end(third)
}
