package querylog

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// Limits of what waits to be written to the log. More is lost, and counted.
const (
	queueLimit = 4096
	queueBytes = 16 << 20
)

// Writer brings lines to the log, on a goroutine of its own: a log that is slow must not
// hold up the workers.
type Writer struct {
	log   *slog.Logger
	queue chan Line
	bytes atomic.Int64 // in the queue
	lost  atomic.Int64
	stop  chan struct{}
	done  chan struct{} // closed once all is written
}

// NewWriter makes a Writer whose Run is to be started.
func NewWriter(log *slog.Logger) *Writer {
	return &Writer{log: log, queue: make(chan Line, queueLimit), stop: make(chan struct{}), done: make(chan struct{})}
}

// Add queues a line; it never waits.
func (w *Writer) Add(line Line) {
	n := sizeOf(line)
	if w.bytes.Add(n) > queueBytes {
		w.bytes.Add(-n)
		w.lost.Add(1)
		return
	}
	select {
	case w.queue <- line:
	default:
		w.bytes.Add(-n)
		w.lost.Add(1)
	}
}

func sizeOf(line Line) int64 { return int64(len(line.Message) + len(line.Detail)) }

// Run writes the lines until Close, and then those that are left.
func (w *Writer) Run() {
	defer close(w.done)
	for {
		select {
		case line := <-w.queue:
			w.one(line)
		case <-w.stop:
			for len(w.queue) > 0 {
				w.one(<-w.queue)
			}
			return
		}
	}
}

func (w *Writer) one(line Line) {
	w.bytes.Add(-sizeOf(line))
	attrs := []any{slog.Group("client", "app", line.Application, "user", line.User, "database", line.Database, "host", line.Host, "port", line.Port)}
	if line.Detail != "" {
		attrs = append(attrs, "detail", line.Detail)
	}
	w.log.Info(line.Message, attrs...)
	if n := w.lost.Swap(0); n > 0 {
		w.log.Warn("lines about statements are lost: the log takes them too slowly", "lines", n)
	}
}

// Close is called once, when nobody adds any more; it waits for a while.
func (w *Writer) Close() {
	close(w.stop)
	select {
	case <-w.done:
	case <-time.After(closeLimit):
	}
}

// closeLimit is how long the last lines may take to be written.
const closeLimit = time.Second
