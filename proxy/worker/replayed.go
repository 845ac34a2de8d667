package worker

import (
	"time"

	"pgherd/proxy/metrics"
)

// position is what a standby had replayed, or a primary inserted, when it was asked;
// never changed once stored.
type position struct {
	lsn uint64
	at  time.Time
}

// NoteReplayed notes what a standby had replayed, or a primary inserted, when it was
// asked; lsn 0: nothing is known. What was asked earlier than what is noted is
// ignored. Any thread may call it.
func (ws *Workers) NoteReplayed(node int, lsn uint64, at time.Time) {
	next := &position{lsn, at}
	for {
		before := ws.replayed[node].Load()
		if before != nil && before.at.After(at) || ws.replayed[node].CompareAndSwap(before, next) {
			return
		}
	}
}

// Replayed is what a standby had replayed, or a primary inserted, when it was last
// asked; 0 and no time if nothing is known of it.
func (t *task) Replayed(node int) (lsn uint64, at time.Time) {
	if p := t.w.workers.replayed[node].Load(); p != nil && p.lsn > 0 {
		return p.lsn, p.at
	}
	return 0, time.Time{}
}

// PollPositions says that the session waits for a standby to catch up; it is to be repeated
// while that lasts.
func (t *task) PollPositions() { t.w.env.PollPositions() }

// Count counts what was sent to a node, or what the node said of it.
func (t *task) Count(node int, what metrics.Statement) { t.w.sent[node][what]++ }
