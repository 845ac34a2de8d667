package admin

import (
	"strconv"
	"time"

	"pgherd/proxy/status"
)

// showWatchdog has a row for each pgherd, and one for each virtual address, as this pgherd sees them.
var showWatchdog = command{
	name:    "watchdog",
	doc:     "The pgherds that work together, who leads, and who holds the virtual addresses, where use_watchdog is on.",
	columns: []string{"kind", "peer", "name", "role", "this_one", "term", "heard_ms", "left_ms", "detail"},
	rows: func(s *status.State, _ uint32) (rows [][]string) {
		w := s.Watchdog
		if w == nil {
			return nil
		}
		for i := range w.Peers {
			rows = append(rows, peerRow(w, &w.Peers[i]))
		}
		for _, a := range w.Addresses {
			rows = append(rows, addressRow(&a))
		}
		return rows
	},
}

func peerRow(w *status.Watchdog, p *status.Peer) []string {
	role, this, left := "follower", "no", ""
	switch {
	case w.Leader < 0:
		role = "unknown"
	case w.Leader == p.Number:
		role = "leader"
	}
	detail := ""
	if p.Number == w.Self {
		this, left = "yes", milliseconds(w.Licence)
		detail = "left_ms: of its licence to write"
		if w.Licence == 0 {
			detail = "it has no licence to write: it waits for a leader that most peers follow"
		}
	}
	heard := ""
	if p.Heard >= 0 {
		heard = milliseconds(p.Heard)
	}
	return []string{"peer", strconv.Itoa(p.Number), p.Name, role, this, strconv.FormatUint(w.Term, 10), heard, left, detail}
}

func addressRow(a *status.Address) []string {
	role, detail := "not held here", ""
	if a.Left > 0 {
		role = "held here"
	}
	if a.PromisedFor > 0 {
		detail = "promised to peer " + strconv.Itoa(a.Promised) + " for " + milliseconds(a.PromisedFor) + " ms"
		if a.Promised < 0 {
			detail = "promised to nobody for " + milliseconds(a.PromisedFor) + " ms, after a start"
		}
	}
	return []string{"address", "", a.Name, role, "", "", "", milliseconds(a.Left), detail}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
