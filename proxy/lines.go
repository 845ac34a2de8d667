package proxy

import (
	"log/slog"
	"sync/atomic"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/session"
)

// Limits of what waits to be written to the log. More is lost, and counted.
const (
	linesLimit = 4096
	linesBytes = 16 << 20
)

// lines brings what sessions tell of statements to the log, on a goroutine of its
// own: a log that is slow must not hold up the workers.
type lines struct {
	log   *slog.Logger
	queue chan session.Line
	bytes atomic.Int64 // in the queue
	lost  atomic.Int64
	stop  chan struct{}
	done  chan struct{} // closed once all is written
}

func newLines(log *slog.Logger) *lines {
	return &lines{log: log, queue: make(chan session.Line, linesLimit), stop: make(chan struct{}), done: make(chan struct{})}
}

// add queues a line; it never waits.
func (l *lines) add(line session.Line) {
	n := sizeOf(line)
	if l.bytes.Add(n) > linesBytes {
		l.bytes.Add(-n)
		l.lost.Add(1)
		return
	}
	select {
	case l.queue <- line:
	default:
		l.bytes.Add(-n)
		l.lost.Add(1)
	}
}

func sizeOf(line session.Line) int64 { return int64(len(line.Message) + len(line.Detail)) }

// write writes the lines until close, and then those that are left.
func (l *lines) write() {
	defer close(l.done)
	for {
		select {
		case line := <-l.queue:
			l.one(line)
		case <-l.stop:
			for len(l.queue) > 0 {
				l.one(<-l.queue)
			}
			return
		}
	}
}

func (l *lines) one(line session.Line) {
	l.bytes.Add(-sizeOf(line))
	attrs := []any{slog.Group("client", "app", line.Application, "user", line.User, "database", line.Database, "host", line.Host, "port", line.Port)}
	if line.Detail != "" {
		attrs = append(attrs, "detail", line.Detail)
	}
	l.log.Info(line.Message, attrs...)
	if n := l.lost.Swap(0); n > 0 {
		l.log.Warn("lines about statements are lost: the log takes them too slowly", "lines", n)
	}
}

// close is called once, when nobody adds any more; it waits for a while.
func (l *lines) close() {
	close(l.stop)
	select {
	case <-l.done:
	case <-time.After(linesGrace):
	}
}

// linesGrace is how long the last lines may take to be written.
const linesGrace = time.Second

// tellsOf says what is told of statements.
func tellsOf(c *config.Log) (tells session.Tells) {
	for _, t := range []struct {
		on   bool
		what session.Tells
	}{
		{c.Statements, session.LogStatements}, {c.NodeStatements, session.LogNodes},
		{c.NodeNotices, session.NoticeNodes}, {c.ClientMessages, session.LogMessages},
	} {
		if t.on {
			tells |= t.what
		}
	}
	return tells
}
