package admin

import "pgherd/proxy/status"

// Compatible is the version of Pgpool-II whose clients and scripts feel at home.
const Compatible = "4.7.0"

var showPoolVersion = command{
	name:    "pool_version",
	doc:     "The version of Pgpool-II that pgherd is compatible with, and its own.",
	columns: []string{"pool_version"},
	rows: func(s *status.State, _ uint32) [][]string {
		return [][]string{{Compatible + " (pgherd " + s.Version + ")"}}
	},
}
