package admin

import (
	"strconv"
	"time"

	"pgherd/proxy/status"
)

// showPoolRecovery has one row: the recovery that runs, or the last one.
var showPoolRecovery = command{
	name:    "pool_recovery",
	doc:     "The online recovery that runs, or the last one: its step, how much of the copy is done, and why it failed.",
	columns: []string{"node_id", "step", "percent", "began", "seconds", "ordered_by", "failed_step", "error"},
	rows: func(s *status.State, _ uint32) [][]string {
		r := s.Recovery
		if r == nil {
			return nil
		}
		percent, end := "", r.Ended
		if r.Percent >= 0 {
			percent = strconv.Itoa(r.Percent)
		}
		if end.IsZero() {
			end = s.Now
		}
		seconds := strconv.FormatFloat(end.Sub(r.Began).Round(time.Millisecond).Seconds(), 'f', -1, 64)
		return [][]string{{strconv.Itoa(r.Node), r.Step, percent, clock(r.Began), seconds, r.By, r.FailedStep, r.Why}}
	},
}
