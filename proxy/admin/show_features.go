package admin

import (
	"strconv"

	"pgherd/proxy/status"
)

var showFeatures = command{
	name:    "features",
	doc:     "Each feature of the kernel: used or not, and why.",
	columns: []string{"feature", "used", "reason", "min_version"},
	rows: func(s *status.State, _ uint32) (rows [][]string) {
		for _, f := range s.Features {
			rows = append(rows, []string{f.Name, strconv.FormatBool(f.Used), f.Reason, f.MinVersion})
		}
		return rows
	},
}
