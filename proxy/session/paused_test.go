package session

import (
	"strings"
	"testing"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// TestPausesAreTold checks that a client that waits because an administrator has paused the database is told so, with the time,
// the administrator and how it ends, first by a notice and then by the error.
func TestPausesAreTold(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)
	const busy = "waiting for a server connection: all that the limits allow are in use"
	for _, row := range []struct {
		name         string
		pause        pool.Pause
		notice, code string
		hint         string
		failover     time.Duration // while a failover is awaited, a write does not wait twice either
	}{
		{"by the limits", pool.Pause{}, busy, "53300", "", 0},
		{"one database", pool.Pause{Since: since, By: "alice"},
			`database "app" is paused since 2026-03-01 12:00:05, by alice`, "57P03", `RESUME "app", by a user named in admin_users, ends the pause.`, 0},
		{"one database, and failover", pool.Pause{Since: since, By: "alice"},
			`database "app" is paused since 2026-03-01 12:00:05, by alice`, "57P03", `RESUME "app", by a user named in admin_users, ends the pause.`, time.Hour},
		{"all", pool.Pause{Since: since, By: "alice", All: true},
			`all databases are paused since 2026-03-01 12:00:05, by alice`, "57P03", `RESUME, by a user named in admin_users, ends the pause.`, 0},
		{"for a statement", pool.Pause{Since: since},
			`database "app" is kept free since 2026-03-01 12:00:05 for a statement`, "57P03", "DROP DATABASE and the like", 0},
	} {
		w, _ := routedWorld(t, pool.Transaction)
		w.set.QueryWait, w.set.QueryNotify, w.set.FailoverWait = time.Minute, time.Second, row.failover
		w.pause = row.pause
		var said []*wire.Fault
		hear := func() {
			for p := w.client.out; len(p) > 0; {
				m, rest, err := w.client.cut.Next(p)
				if p = rest; err != nil {
					t.Fatal(err)
				}
				if m.Kind == wire.NoticeResponse || m.Kind == wire.ErrorResponse {
					fault := wire.ViewFault(m.Body())
					said = append(said, &fault)
				}
			}
			w.client.out = nil
		}
		sql := "SELECT 1" // a read could go to a standby, but the session does not wait twice
		if row.pause == (pool.Pause{}) || row.failover > 0 {
			sql = "INSERT INTO t VALUES (1)"
		}
		w.greeted(w.sends(simple(sql)))
		w.then(w.is(WaitServer), w.passes(2*time.Second))
		w.then(hear, w.passes(time.Minute))
		w.then(hear, w.sends(terminate))
		w.run()
		hear()
		if len(said) != 2 {
			t.Fatalf("%s: the client got %d messages, want a notice and an error", row.name, len(said))
		}
		notice, fault := said[0], said[1]
		if !strings.Contains(notice.Message, row.notice) || !strings.HasPrefix(notice.Message, "waiting for a server connection: ") || notice.Severity != "NOTICE" {
			t.Errorf("%s: the notice is %+v", row.name, notice)
		}
		if fault.Code != row.code || !strings.Contains(fault.Hint, row.hint) || row.code == "57P03" && !strings.Contains(fault.Message, row.notice) {
			t.Errorf("%s: the error is %+v", row.name, fault)
		}
	}
}
