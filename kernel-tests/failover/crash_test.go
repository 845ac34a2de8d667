package failover

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pgherd/bench/herd/herdtest"
)

// TestProcessIsKilled kills one of the primary's processes, after which PostgreSQL ends all of them and recovers.
// That is no failover, and sessions survive it.
func TestProcessIsKilled(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := start(t, "pool_mode = "+mode)
			w.allUp()
			idle, writing := w.connect(), w.writes(4)
			w.ask(idle, "SET work_mem = '7MB'")
			sleepUntilWritten(w)
			pid, err := strconv.Atoi(w.on(0, "SELECT pid FROM pg_stat_activity WHERE usename = 'alice' LIMIT 1"))
			w.must(err)
			w.must(syscall.Kill(pid, syscall.SIGKILL))
			w.eventually("the primary recovers", func() error {
				if log := nodeLog(w, 0); strings.Count(log, "ready to accept connections") < 2+1 { // the log has its first start, and the start after the copy
					return errors.New("the node has not started again yet")
				}
				return nil
			})
			w.writesAgain(w.connect())
			if got := w.ask(idle, "SHOW work_mem"); got != "7MB" {
				t.Errorf("an idle session has work_mem %s", got)
			}
			w.stays(idle)
			writing.end(0)
		})
	}
}

// TestProcessIsTerminated ends a session by pg_terminate_backend on the node. The client is told so and
// disconnected, as by PostgreSQL itself, and nothing else happens.
func TestProcessIsTerminated(t *testing.T) {
	for _, mode := range []string{"transaction", "session"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := start(t, "pool_mode = "+mode)
			w.allUp()
			writing, one, running := w.writes(2), w.connect(), w.connect()
			terminate := func(what string) {
				t.Helper()
				w.eventually("the process is ended", func() error {
					if got := w.on(0, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '"+what+"%'"); got != "1" {
						return errors.New("the session's process is not there")
					}
					return nil
				})
			}
			w.ask(one, "BEGIN; SELECT 'in a transaction'")
			terminate("BEGIN; SELECT ''in a transaction")
			_, err := herdtest.Ask(one, "SELECT 1")
			wantEnded(t, err)
			answer := make(chan error)
			go func() {
				_, err := herdtest.Ask(running, "SELECT pg_sleep(50)")
				answer <- err
			}()
			terminate("SELECT pg_sleep")
			wantEnded(t, <-answer)
			w.stays(w.connect())
			writing.end(0)
		})
	}
}

func wantEnded(t *testing.T, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "57P01") {
		t.Errorf("a session whose process was ended: got error %v", err)
	}
}
