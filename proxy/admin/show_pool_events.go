package admin

import (
	"log/slog"

	"pgherd/proxy/status"
)

// showPoolEvents has a row for each thing that happened, the latest first.
var showPoolEvents = command{
	name:    "pool_events",
	doc:     "The last 1000 things that happened to pgherd and its nodes, with their reasons.",
	columns: []string{"time", "severity", "event", "details"},
	rows: func(s *status.State, _ uint32) (rows [][]string) {
		for i := len(s.Events) - 1; i >= 0; i-- {
			e := &s.Events[i]
			rows = append(rows, []string{clock(e.Time), severity(e.Level), e.Text, e.Details})
		}
		return rows
	},
}

// severity is a level in the log's words.
func severity(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "ERROR"
	case level >= slog.LevelWarn:
		return "WARNING"
	}
	return "LOG"
}
