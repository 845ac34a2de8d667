package pglog

import (
	"log/slog"
	"log/syslog"
	"strings"
)

// Levels of PostgreSQL for which slog has no name. slog.LevelInfo is PostgreSQL's LOG, which a
// server says to its administrator; LevelNotice and LevelInform are what it says to a client.
const (
	LevelDebug5 = slog.Level(-8)
	LevelInform = slog.Level(1)
	LevelNotice = slog.Level(2)
	LevelFatal  = slog.Level(12)
	LevelPanic  = slog.Level(16)
)

// level is one of PostgreSQL's levels. rank orders them for log_min_messages, where LOG comes after
// ERROR: a server that logs only errors still logs that it has started.
type level struct {
	slog  slog.Level
	name  string // for log_min_messages and JSON
	label string // in a line of text
	rank  int
	write func(*syslog.Writer, string) error
}

// levels by rising slog level.
var levels = []level{
	{LevelDebug5, "debug5", "DEBUG", 0, (*syslog.Writer).Debug},
	{-7, "debug4", "DEBUG", 1, (*syslog.Writer).Debug},
	{-6, "debug3", "DEBUG", 2, (*syslog.Writer).Debug},
	{-5, "debug2", "DEBUG", 3, (*syslog.Writer).Debug},
	{slog.LevelDebug, "debug1", "DEBUG", 4, (*syslog.Writer).Debug},
	{slog.LevelInfo, "log", "LOG", 9, (*syslog.Writer).Info},
	{LevelInform, "info", "INFO", 5, (*syslog.Writer).Info},
	{LevelNotice, "notice", "NOTICE", 6, (*syslog.Writer).Notice},
	{slog.LevelWarn, "warning", "WARNING", 7, (*syslog.Writer).Notice},
	{slog.LevelError, "error", "ERROR", 8, (*syslog.Writer).Warning},
	{LevelFatal, "fatal", "FATAL", 10, (*syslog.Writer).Err},
	{LevelPanic, "panic", "PANIC", 11, (*syslog.Writer).Crit},
}

// levelOf finds the highest of PostgreSQL's levels not above l.
func levelOf(l slog.Level) level {
	found := levels[0]
	for _, candidate := range levels {
		if candidate.slog <= l {
			found = candidate
		}
	}
	return found
}

// rankOf is the rank of a word of log_min_messages, which config has checked.
func rankOf(name string) int {
	for _, l := range levels {
		if strings.EqualFold(l.name, name) {
			return l.rank
		}
	}
	return 0
}
