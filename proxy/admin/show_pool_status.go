package admin

import "pgherd/proxy/status"

var showPoolStatus = command{
	name:    "pool_status",
	doc:     "Every parameter of the configuration with its present value; PGPOOL SHOW name shows one.",
	columns: []string{"item", "value", "description"},
	rows: func(s *status.State, _ uint32) [][]string {
		return (&Order{name: all}).showMany(s.Config)
	},
}
