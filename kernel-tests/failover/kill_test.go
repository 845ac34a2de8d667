package failover

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd/herdtest"
)

// writer inserts one row after another, each a transaction of its own, and keeps what it was
// told of each.
type writer struct {
	first    int
	told     map[int]string // by id: the SQLSTATE; "" if it was acknowledged
	lost     string
	longest  time.Duration
	finished int
}

func (w *writer) run(conn *pgconn.PgConn, stop <-chan struct{}) {
	w.told = map[int]string{}
	for id := w.first; ; id++ {
		select {
		case <-stop:
			return
		default:
		}
		began := time.Now()
		_, err := herdtest.Ask(conn, fmt.Sprintf("INSERT INTO ledger VALUES (%d)", id))
		w.longest = max(w.longest, time.Since(began))
		w.told[id] = code(conn, err)
		if w.finished++; strings.HasPrefix(w.told[id], "lost") {
			w.lost = w.told[id]
			return
		}
	}
}

// check compares what the writers were told with what is there: every acknowledged row once,
// none that was reported as not done. Of 08007 both are right.
func (w *world) check(primary int, writers []*writer) (acknowledged, unknown int) {
	w.Helper()
	there := map[string]bool{}
	for id := range strings.SplitSeq(w.on(primary, "SELECT id FROM ledger"), "\n") {
		there[id] = true
	}
	for _, one := range writers {
		if one.lost != "" {
			w.Errorf("a writer was disconnected: %s", one.lost)
		}
		for id, told := range one.told {
			is := there[fmt.Sprint(id)]
			switch {
			case told == "" && !is:
				w.Errorf("row %d was acknowledged, and is not there", id)
			case told == "40001" && is:
				w.Errorf("row %d was reported as not done, and is there", id)
			case told != "" && told != "40001" && told != "08007":
				w.Errorf("row %d: %s", id, told)
			}
			switch told {
			case "":
				acknowledged++
			case "08007":
				unknown++
			}
		}
	}
	return acknowledged, unknown
}

// primary is the node that pgherd has for the primary.
func (w *world) primary(conn *pgconn.PgConn) string {
	w.Helper()
	return herdtest.MustAsk(w.T, conn, "SELECT current_setting('cluster_name')")
}

// TestPrimaryDies kills the primary while clients write, read, are inside a transaction, and
// do nothing. Nobody is disconnected, and nothing acknowledged is lost.
func TestPrimaryDies(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			w := start(t, "pool_mode = "+mode)
			idle, inside := []*pgconn.PgConn{}, []*pgconn.PgConn{}
			for range 5 {
				conn := w.connect()
				herdtest.MustAsk(t, conn, "SET work_mem = '7MB'")
				idle = append(idle, conn)
			}
			for range 4 {
				conn := w.connect()
				herdtest.MustAsk(t, conn, "BEGIN")
				herdtest.MustAsk(t, conn, "SELECT count(*) FROM ledger")
				inside = append(inside, conn)
			}
			var writers []*writer
			var writing sync.WaitGroup
			stop := make(chan struct{})
			for i := range 5 {
				one, conn := &writer{first: (i + 1) * 1_000_000}, w.connect()
				writers = append(writers, one)
				writing.Go(func() { one.run(conn, stop) })
			}
			time.Sleep(time.Second)
			killed := time.Now()
			if err := w.herd.Slay(0); err != nil {
				t.Fatal(err)
			}
			after := w.connect()
			herdtest.MustAsk(t, after, "INSERT INTO ledger VALUES (1)")
			t.Logf("writes again after %v", time.Since(killed).Round(time.Millisecond))
			time.Sleep(time.Second)
			close(stop)
			writing.Wait()
			for _, conn := range idle {
				if got := herdtest.MustAsk(t, conn, "SHOW work_mem"); got != "7MB" {
					t.Errorf("an idle session has work_mem %s", got)
				}
			}
			for i, conn := range inside {
				_, err := herdtest.Ask(conn, []string{"COMMIT", "SELECT 1"}[i%2])
				if got := code(conn, err); got != "40001" {
					t.Errorf("a session inside a transaction: %q", got)
				}
				if i%2 == 1 {
					herdtest.MustAsk(t, conn, "ROLLBACK")
				}
				herdtest.MustAsk(t, conn, "SELECT 1")
			}
			name := w.primary(after)
			if name == "node0" {
				t.Fatal("the primary is the node that was killed")
			}
			acknowledged, unknown := w.check(int(name[4]-'0'), writers)
			t.Logf("%d acknowledged, %d unknown, longest %v", acknowledged, unknown, writers[0].longest.Round(time.Millisecond))
			t.Log(w.log())
			if acknowledged == 0 {
				t.Error("nothing was written")
			}
		})
	}
}
