// Package events keeps the last things that happened to pgherd and its nodes, with their
// reasons: what its parts tell the log, for those who come later and have no log at hand.
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
	Details string // name=value, one space apart
}

// Ring keeps them. Any goroutine may use it.
type Ring struct {
	mutex sync.Mutex
	kept  []Event
	next  int // the place of the oldest, once the ring is full
}

// Keep is the log, of which what is told from now on is kept too, whatever its level lets
// through. It is for what happens now and then, not for what clients do.
func (r *Ring) Keep(log *slog.Logger) *slog.Logger {
	return slog.New(&keeper{ring: r, next: log.Handler()})
}

// Last are the events, the oldest first.
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
	prefix string // of the names, by WithGroup
	before string // details, by WithAttrs
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
