// Package events keeps the last things that happened to pgherd and its nodes, with their
// reasons. It keeps what pgherd's parts tell the log, for those who ask later and do not
// have the log.
package events

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limit is how many events are kept; the oldest go first.
const Limit = 1000

// Event is one of them.
type Event struct {
	Time    time.Time
	Level   slog.Level
	Text    string
	Details string // name=value pairs, separated by blanks
}

// Ring keeps them. Any goroutine may use it.
type Ring struct {
	mutex sync.Mutex
	kept  []Event
	next  int // index of the oldest event, once the ring is full
}

// Keep wraps a log so that the ring keeps what is logged from now on, whatever the log's
// level. It is for what happens now and then, not for what clients do.
func (r *Ring) Keep(log *slog.Logger) *slog.Logger {
	return slog.New(&keeper{ring: r, next: log.Handler()})
}

// Last returns the events, the oldest first.
func (r *Ring) Last() []Event {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Concat(r.kept[r.next:], r.kept[:r.next])
}

func (r *Ring) add(e Event) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if len(r.kept) < Limit {
		r.kept = append(r.kept, e)
		return
	}
	r.kept[r.next] = e
	r.next = (r.next + 1) % Limit
}

// keeper is a slog.Handler that keeps what it passes on.
type keeper struct {
	ring   *Ring
	next   slog.Handler
	prefix string // a prefix of the names, from WithGroup
	before string // details, from WithAttrs
}

func (h *keeper) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || h.next.Enabled(ctx, level)
}

func (h *keeper) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		details := h.before
		r.Attrs(func(a slog.Attr) bool { details = appendAttr(details, h.prefix, a); return true })
		h.ring.add(Event{r.Time, r.Level, r.Message, details})
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h *keeper) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.next = h.next.WithAttrs(attrs)
	for _, a := range attrs {
		with.before = appendAttr(with.before, h.prefix, a)
	}
	return &with
}

func (h *keeper) WithGroup(name string) slog.Handler {
	with := *h
	with.next, with.prefix = h.next.WithGroup(name), h.prefix+name+"."
	return &with
}

func appendAttr(details, prefix string, a slog.Attr) string {
	return strings.TrimPrefix(details+" "+prefix+a.Key+"="+a.Value.String(), " ")
}
