package auth

import (
	"context"
	"sync"
	"time"
)

// answers remembers what PostgreSQL says of users. Users whom it does not know are
// remembered like the others, and for as long, so that the time reveals nothing.
type answers[V any] struct {
	find    func(ctx context.Context, user string) (V, error)
	nothing func(V) bool
	ttl     time.Duration
	now     func() time.Time

	mu      sync.Mutex
	known   map[string]answer[V]
	unknown map[string]answer[V] // kept apart, so that invented names do not displace others
	asking  map[string]*question[V]
	era     uint64 // how often everything was forgotten
}

// answer is the result of one question.
type answer[V any] struct {
	value V
	at    time.Time
}

// question is in progress; several log-ins may wait for it.
type question[V any] struct {
	done   chan struct{}
	era    uint64 // the generation in which it began
	answer answer[V]
	err    error
}

func newAnswers[V any](find func(context.Context, string) (V, error), nothing func(V) bool, ttl time.Duration, now func() time.Time) *answers[V] {
	return &answers[V]{find: find, nothing: nothing, ttl: ttl, now: now,
		known: map[string]answer[V]{}, unknown: map[string]answer[V]{}, asking: map[string]*question[V]{}}
}

// Find returns what is known of the user; it is empty if there is nothing.
func (l *answers[V]) Find(ctx context.Context, user string) (value V, err error) {
	l.mu.Lock()
	if a, ok := l.remembered(user); ok && l.now().Sub(a.at) < l.ttl {
		l.mu.Unlock()
		return a.value, nil
	}
	q := l.asking[user]
	if q == nil {
		q = &question[V]{done: make(chan struct{}), era: l.era}
		l.asking[user] = q
		go l.ask(user, q)
	}
	l.mu.Unlock()
	select {
	case <-q.done:
		return q.answer.value, q.err
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

// ask answers a question, whether or not somebody still waits for it.
func (l *answers[V]) ask(user string, q *question[V]) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	value, err := l.find(ctx, user)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asking[user] == q {
		delete(l.asking, user)
	}
	q.err = err
	if err == nil {
		q.answer = answer[V]{value: value, at: l.now()}
	}
	if err == nil && q.era == l.era {
		l.remember(user, q.answer)
	}
	close(q.done)
}

func (l *answers[V]) remembered(user string) (answer[V], bool) {
	if a, ok := l.known[user]; ok {
		return a, true
	}
	a, ok := l.unknown[user]
	return a, ok
}

func (l *answers[V]) remember(user string, a answer[V]) {
	l.forget(user)
	into := l.known
	if l.nothing(a.value) {
		into = l.unknown
	}
	if len(into) >= maxAnswers {
		for other := range into { // any of them: maps iterate in random order
			delete(into, other)
			break
		}
	}
	into[user] = a
}

func (l *answers[V]) forget(user string) {
	delete(l.known, user)
	delete(l.unknown, user)
}

// Doubt forgets an answer that a proof did not match, unless it is fresh, and says
// whether asking again makes sense.
func (l *answers[V]) Doubt(user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, ok := l.remembered(user); ok && l.now().Sub(a.at) < freshFor {
		return false
	}
	l.forget(user)
	return true
}

// Forget forgets an answer that a server has contradicted.
func (l *answers[V]) Forget(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(user)
}

// ForgetAll forgets everything, including the answers to questions in progress, because
// passwords may have changed.
func (l *answers[V]) ForgetAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.era++
	clear(l.known)
	clear(l.unknown)
	clear(l.asking)
}
