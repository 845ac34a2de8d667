package admin

import (
	"strconv"
	"time"

	"pgherd/proxy/status"
)

// showPoolPatroni has a row for each node's Patroni: whether it answers, since when, and what it
// says.
var showPoolPatroni = command{
	name: "pool_patroni",
	doc:  "What each Patroni says, where failover_mode is patroni, and for how long it has not answered.",
	columns: []string{"node_id", "url", "answers", "since", "seconds", "last_answer", "leader", "pause", "member", "role", "state",
		"timeline", "lag", "error"},
	rows: func(s *status.State, _ uint32) (rows [][]string) {
		for i := range s.Patroni {
			rows = append(rows, patroniRow(&s.Patroni[i], s.Now))
		}
		return rows
	},
}

func patroniRow(p *status.Patroni, now time.Time) []string {
	yes := map[bool]string{true: "yes", false: "no"}
	timeline := ""
	if p.Timeline > 0 {
		timeline = strconv.Itoa(p.Timeline)
	}
	row := []string{strconv.Itoa(p.Node), p.URL, yes[p.Why == ""], clock(p.Since),
		strconv.FormatInt(int64(now.Sub(p.Since)/time.Second), 10), clock(p.Last), p.Leader, "", p.Member, p.Role, p.State, timeline, p.Lag, p.Why}
	if p.Why == "" {
		row[7] = yes[p.Paused]
	}
	return row
}
