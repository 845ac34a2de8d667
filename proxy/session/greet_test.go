package session

import (
	"testing"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// told is the process number that the client was told at its log-in.
func (w *world) toldNumber() (pid uint32) {
	cut := wire.CutReplies()
	for p := w.client.out; len(p) > 0; {
		m, rest, err := cut.Next(p)
		if err != nil {
			w.t.Fatal(err)
		}
		if p = rest; m.Kind == wire.BackendKeyData {
			v, _ := wire.ViewBackendKeyData(m.Body())
			pid = v.PID
		}
	}
	return pid
}

// TestNumberOfAServer checks that a client that keeps one server for life is told that server's
// process number, unless it gets no server in time, or another client has the number.
func TestNumberOfAServer(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*world)
		servers bool
		want    uint32
	}{
		"session mode":         {func(w *world) {}, true, 1},
		"replication":          {func(w *world) { w.set.ServerFirst, w.who.Target.Replication = false, true }, true, 1},
		"not at log-in":        {func(w *world) { w.set.ServerFirst = false }, true, 77},
		"another's number":     {func(w *world) { w.known = 1 }, true, 77},
		"no server":            {func(w *world) {}, false, 77},
		"servers are shared":   {func(w *world) { *w.set = sharing(pool.Transaction); w.set.ServerFirst = true }, true, 77},
		"no template is known": {func(w *world) { w.template = nil }, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.set.ServerFirst = true
			c.prepare(w)
			if c.servers {
				w.server()
			} else {
				w.then(w.is(WaitServer))
				w.then(func() { w.now = w.now.Add(loginWait) })
			}
			began := w.now
			w.then(func() {
				w.same("the number", w.toldNumber(), c.want)
				w.same("in SHOW", w.session.View().PID, c.want)
			}, w.client.leaves())
			w.run()
			if !c.servers && w.now.Sub(began) > time.Minute {
				t.Error("the client waited for longer than a minute, want loginWait")
			}
		})
	}
}

// TestLoginIsRefused checks that the client is told if PostgreSQL refuses the log-in, even if
// others have logged in.
func TestLoginIsRefused(t *testing.T) {
	for code, want := range map[string][]string{
		"28000": {"ErrorResponse FATAL 28000"},
		"08001": greeting,
		"53300": {"ErrorResponse FATAL 53300"}, // as for CONNECTION LIMIT 0
	} {
		w := newWorld(t)
		w.set.ServerFirst = true
		w.then(w.refuses(&wire.Fault{Severity: "FATAL", Code: code}))
		if code == "08001" {
			w.then(w.client.leaves())
		}
		w.run()
		w.client.gets(t, want...)()
	}
}

// TestNotificationNamesAClient checks the number in a notification of the client's own, of another
// client's, and of a process that is no server of pgherd's.
func TestNotificationNamesAClient(t *testing.T) {
	for pid, want := range map[uint32]uint32{1: 77, 5: 500, 6: 6} {
		for _, cut := range []int{0, 3, 5, 7, 9, 12} {
			w := newWorld(t)
			w.notifiers = map[uint32]uint32{5: 500}
			s := w.server()
			note := wire.AppendNotificationResponse(nil, pid, "channel", "payload")
			w.greeted(w.client.says(simple("listen channel")))
			w.then(s.says(done("LISTEN"), note[:cut]))
			w.then(func() { w.client.out = nil }, s.says(note[cut:]))
			w.then(func() {
				if got := string(w.client.out); cut > 0 && got != string(wire.AppendNotificationResponse(nil, want, "channel", "payload")) {
					t.Errorf("a notification of process %d: the client got %q", pid, got)
				}
			}, w.client.leaves())
			w.then(func() { s.in = append(s.in, done("DISCARD ALL")) })
			w.run()
		}
	}
}

// TestNotifyIsTheClients checks that a notification names its client even if that has released the server before it arrives.
func TestNotifyIsTheClients(t *testing.T) {
	for _, sql := range []string{"NOTIFY channel", "SELECT pg_notify('channel', '')"} {
		w, s := sharingWorld(t, 1)
		s[0].server.Clients.Lent(77)
		w.greeted(w.sends(simple(sql)))
		w.then(s[0].says(selected))
		w.then(func() {
			s[0].server.Clients.Lent(88)
			w.same(sql, s[0].server.Clients.Notified(), uint32(77))
		}, w.sends(terminate))
		w.run()
	}
}
