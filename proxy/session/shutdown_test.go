package session

import (
	"encoding/binary"
	"io"
	"testing"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
)

// endedByOrder is what PostgreSQL says to a session that is told to end.
func endedByOrder() []byte {
	body := "SFATAL\x00VFATAL\x00C57P01\x00Mterminating connection due to administrator command\x00RProcessInterrupts\x00\x00"
	return append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(len(body)+4)), body...)
}

// TestShutDownOrTerminated checks that an answer of the node that comes at once does not count as a
// sign that the node stays up: it may come from a process that has not been told to end yet.
func TestShutDownOrTerminated(t *testing.T) {
	for name, c := range map[string]struct {
		early, late bool // that the node answers
		anew        bool // and over a connection that was opened since
		hears       []string
	}{
		"terminated":            {true, true, false, []string{"ErrorResponse FATAL 57P01"}},
		"shut down":             {false, false, false, []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}},
		"shut down, seen late":  {true, false, false, []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}},
		"started again at once": {true, true, true, []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}},
		"terminated, the node answers only later": {false, true, false, []string{"ErrorResponse ERROR 08007", "ReadyForQuery I"}}, // nothing is lost by that
	} {
		t.Run(name, func(t *testing.T) {
			w, s := movingWorld(t, pool.Transaction)
			var asked time.Time
			look := func(after time.Duration, answers bool) func() {
				return func() {
					w.now = asked.Add(after + time.Millisecond)
					node := nodes.Node{Role: nodes.Primary, Status: nodes.Up, Probed: true, Reachable: answers, ReplayedAt: asked.Add(after)}
					if c.anew && after > shutdownSure {
						node.Connected = asked.Add(shutdownSure)
					}
					w.view = &nodes.View{Nodes: []nodes.Node{node}}
				}
			}
			w.greeted(w.sends(simple(write)))
			w.then(s[0].says(endedByOrder()), func() { asked = w.now })
			w.then(look(5*time.Millisecond, c.early))
			if c.early {
				w.then(look(shutdownSure+50*time.Millisecond, c.late))
			}
			w.then(s[0].hangs(io.EOF), w.sends(terminate))
			w.run()
			w.client.gets(t, c.hears...)()
		})
	}
}

// TestTerminatedByAClient checks that a session that another client of pgherd's terminates ends, though it is not known in time
// whether the node is being shut down.
func TestTerminatedByAClient(t *testing.T) {
	for _, mode := range []pool.Mode{pool.Session, pool.Transaction} {
		w, s := movingWorld(t, mode)
		w.greeted(func() { w.session.Summon() })
		w.then(func() {
			server, _ := w.session.Summoned()
			w.same("the server that the signal is for", server, s[0].server)
		}, s[0].says(endedByOrder()), s[0].hangs(io.EOF))
		w.run()
		w.hears("ErrorResponse FATAL 57P01")()
	}
}
