package querylog

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// Limits of what waits to be written to the log (I5). Lines beyond them are lost, and counted.
const (
	queueLimit = 4096
	queueBytes = 16 << 20
)

// Writer writes lines to the log on a goroutine of its own, because a slow log must not hold up the
// workers.
type Writer struct {
	log   *slog.Logger
	queue chan Line
	bytes atomic.Int64 // in the queue
	lost  atomic.Int64 // lines that were lost since that was last logged
	stop  chan struct{}
	done  chan struct{} // closed once all lines are written
}

// NewWriter makes a Writer. The caller starts its Run.
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

// Run writes the lines until Close is called, and then those that are left in the queue.
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

// one writes a line, and says how many were lost before it.
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

// Close is called once, when nobody adds lines any more. It waits for the last lines to be
// written, for closeLimit at most.
func (w *Writer) Close() {
	close(w.stop)
	select {
	case <-w.done:
	case <-time.After(closeLimit):
	}
}

// closeLimit is how long the last lines may take to be written.
const closeLimit = time.Second
