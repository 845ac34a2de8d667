// Package pglog is the log of pgherd: a slog.Handler that writes Pgpool-II's lines (log_line_prefix,
// then "LEVEL:  message") or JSON, to stderr, to syslog or to both.
//
// The attributes detail and hint become lines of their own; app, user, database, host and port serve
// the escapes of the prefix, in a group named client nothing else; others follow the message as key=value. A record is written with one
// call, under one lock; a line that cannot be written is lost, as there is nobody to tell.
// What is logged, where and how can be changed at any time with Configure.
package pglog

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"pgherd/proxy/config"
)

// Log is where records go. Its methods may be called by any goroutine.
type Log struct {
	stderr io.Writer
	dial   func(syslog.Priority, string) (*syslog.Writer, error)
	pid    int
	rank   atomic.Int32 // the least rank that is logged

	mu       sync.Mutex // guards what follows
	settings config.Log
	syslog   *syslog.Writer // nil unless it is a destination
	lines    uint64         // how many records were written, for %l
}

// New opens a log. The error is that of reaching syslog.
func New(settings config.Log, stderr io.Writer) (*Log, error) {
	l := &Log{stderr: stderr, dial: syslog.New, pid: os.Getpid()}
	return l, l.Configure(settings)
}

// Configure changes what is logged, where and how. After an error the log stays as it
// was.
func (l *Log) Configure(settings config.Log) error {
	var writer *syslog.Writer
	if slices.Contains(settings.Destination, "syslog") {
		var err error
		if writer, err = l.dial(facility(settings.SyslogFacility), settings.SyslogIdent); err != nil {
			return fmt.Errorf("open syslog: %w", err)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.syslog != nil {
		l.syslog.Close()
	}
	l.settings, l.syslog = settings, writer
	l.rank.Store(int32(rankOf(settings.MinMessages)))
	return nil
}

// Logger returns a logger that writes here.
func (l *Log) Logger() *slog.Logger { return slog.New(recorder{log: l}) }

// facility turns LOCAL0 to LOCAL7 into syslog's number.
func facility(name string) syslog.Priority {
	if len(name) != len("LOCAL0") {
		return syslog.LOG_LOCAL0
	}
	return syslog.LOG_LOCAL0 + syslog.Priority(name[5]-'0')<<3
}

// write sends one record everywhere it belongs.
func (l *Log) write(r slog.Record, attrs []slog.Attr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines++
	text := l.format(r, attrs)
	var err error
	if slices.Contains(l.settings.Destination, "stderr") {
		_, err = l.stderr.Write(text)
	}
	if l.syslog != nil {
		err = levelOf(r.Level).write(l.syslog, string(text))
	}
	return err
}

// recorder is the slog.Handler; it has the attributes that a logger was given.
type recorder struct {
	log   *Log
	attrs []slog.Attr // flat, group names joined with dots
	group string      // with a dot at the end, if not empty
}

func (h recorder) Enabled(_ context.Context, l slog.Level) bool {
	return levelOf(l).rank >= int(h.log.rank.Load())
}

func (h recorder) WithGroup(name string) slog.Handler {
	if name != "" {
		h.group += name + "."
	}
	return h
}

func (h recorder) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		h.attrs = flatten(h.attrs, h.group, a)
	}
	return h
}

func (h recorder) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = flatten(attrs, h.group, a)
		return true
	})
	return h.log.write(r, attrs)
}

// flatten appends an attribute, or a group's attributes under the group's name.
func flatten(list []slog.Attr, group string, a slog.Attr) []slog.Attr {
	a.Value = a.Value.Resolve()
	if a.Value.Kind() != slog.KindGroup {
		if a.Equal(slog.Attr{}) {
			return list
		}
		return append(list, slog.Attr{Key: group + a.Key, Value: a.Value})
	}
	if a.Key != "" {
		group += a.Key + "."
	}
	for _, member := range a.Value.Group() {
		list = flatten(list, group, member)
	}
	return list
}
