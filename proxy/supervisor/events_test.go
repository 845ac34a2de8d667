package supervisor

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/events"
	"pgherd/proxy/failover"
)

// TestEventsAreReplayed checks that the events, as SHOW POOL_EVENTS shows them, lead from the first start to the same herd: each
// that is a decision names all that there is to it, is allowed when it is taken, and leads to the epoch and phase that it shows.
func TestEventsAreReplayed(t *testing.T) {
	for name, happens := range map[string]func(*world){
		"a failover":  func(w *world) { w.die(0) },
		"two of them": func(w *world) { w.die(0); w.passes(5 * time.Second); w.die(1) },
		"an operator": func(w *world) {
			if err := w.sup.Order(context.Background(), failover.Command{Kind: failover.DetachNode, Node: 2, Reason: "an operator wants it", By: "ann"}); err != nil {
				w.t.Error(err)
			}
			w.die(0)
		},
		"a promotion that fails": func(w *world) { w.on("promote 1 after 3", breaks); w.die(0) },
		"a switchover that fails": func(w *world) {
			w.on("hand over 0 to 1", breaks)
			go func() { _ = w.sup.Switchover(context.Background(), 1, "ann") }()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.begins()
				happens(w)
				w.passes(10 * time.Second)
				h, taken := failover.New(), 0
				for _, e := range w.events.Last() {
					c, decision := decided(t, &e)
					if !decision {
						continue
					}
					var err error
					if c.Epoch = h.Epoch; c.Kind == failover.MakePrimary {
						c.System = system
					}
					if h, err = failover.Apply(h, c); err != nil {
						t.Fatalf("%s: %v", e.Text, err)
					}
					if shown := fmt.Sprintf("epoch=%d phase=%s ", h.Epoch, h.Phase); !strings.HasPrefix(e.Details, shown) {
						t.Errorf("%s: replayed, it leads to %s, and before to %s", e.Text, shown, e.Details)
					}
					if has := strings.Contains(e.Details, "detail=seen of the nodes: 0: "); has == (c.By != "") {
						t.Errorf("%s: what it was decided by is told: %v, in %s", e.Text, has, e.Details)
					}
					taken++
				}
				if got, want := led(h), led(w.herd); got != want || taken < 5 {
					t.Errorf("%d decisions lead to\n%s, want\n%s", taken, got, want)
				}
			})
		})
	}
}

// decided reads the decision that an event tells, if it does.
func decided(t *testing.T, e *events.Event) (c failover.Command, decision bool) {
	t.Helper()
	text, ours := strings.CutPrefix(e.Text, "herd: ")
	if !ours || !strings.Contains(e.Details, "phase=") { // else it is an act
		return c, false
	}
	words := strings.Fields(text)
	c = failover.Command{Kind: failover.Kind(words[0]), Node: failover.None, Sync: &failover.SyncSet{}}
	_, c.Reason, _ = strings.Cut(e.Details, "reason=")
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "timeline":
			_, _ = fmt.Sscan(words[i+1], &c.Timeline)
			i++
		case "standby":
			c.Standby = true
		case "by":
			c.By = words[i+1]
			i++
		default:
			if _, err := fmt.Sscan(words[i], &c.Node); err != nil {
				t.Errorf("%s: what does %q mean?", e.Text, words[i])
			}
		}
	}
	return c, true
}

// led is who leads, and the nodes' statuses.
func led(h failover.Herd) string {
	text := fmt.Sprint("epoch ", h.Epoch, " ", h.Phase, " primary ", h.Primary, " timeline ", h.Timeline, ":")
	for _, n := range h.Nodes {
		text += fmt.Sprint(" ", n.Index, " ", n.Status)
	}
	return text
}
