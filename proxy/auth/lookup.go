package auth

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
)

// Limits of what is remembered of auth_query (I5). How many questions are
// under way is bounded by the logins that ask them.
const (
	maxAnswers    = 20_000           // users with a password, and as many without
	lookupTimeout = 10 * time.Second // of one question
	// freshFor is how young an answer must be to be beyond doubt: a wrong
	// password asks PostgreSQL again, many in a row do not.
	freshFor = time.Second
)

// Finder asks PostgreSQL what it stores as the password of a user.
type Finder func(ctx context.Context, user string) (text string, found bool, err error)

// Lookup remembers what auth_query answers. Users without a password are
// remembered like those with one, for as long, so that time tells nothing.
type Lookup struct {
	find Finder
	ttl  time.Duration
	now  func() time.Time

	mu      sync.Mutex
	known   map[string]answer
	unknown map[string]answer // apart, so that invented names push nobody out
	asking  map[string]*question
	era     uint64 // how often all was forgotten
}

// answer is what one question came to.
type answer struct {
	secret Secret
	at     time.Time
}

// question is under way; several logins may wait for it.
type question struct {
	done   chan struct{}
	era    uint64 // in which it was begun
	answer answer
	err    error
}

// NewLookup makes one that remembers nothing; ttl 0 keeps it so.
func NewLookup(find Finder, ttl time.Duration, now func() time.Time) *Lookup {
	return &Lookup{find: find, ttl: ttl, now: now,
		known: map[string]answer{}, unknown: map[string]answer{}, asking: map[string]*question{}}
}

// Find gives the user's secret; it is empty if there is none.
func (l *Lookup) Find(ctx context.Context, user string) (Secret, error) {
	l.mu.Lock()
	if a, ok := l.remembered(user); ok && l.now().Sub(a.at) < l.ttl {
		l.mu.Unlock()
		return a.secret, nil
	}
	q := l.asking[user]
	if q == nil {
		q = &question{done: make(chan struct{}), era: l.era}
		l.asking[user] = q
		go l.ask(user, q)
	}
	l.mu.Unlock()
	select {
	case <-q.done:
		return q.answer.secret, q.err
	case <-ctx.Done():
		return Secret{}, ctx.Err()
	}
}

// ask answers a question, whether or not somebody still waits for it.
func (l *Lookup) ask(user string, q *question) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	text, found, err := l.find(ctx, user)
	secret, parseErr := parseStored(user, text)
	if err == nil && found {
		err = parseErr
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asking[user] == q {
		delete(l.asking, user)
	}
	q.err = err
	if err == nil {
		q.answer = answer{secret: secret, at: l.now()}
	}
	if err == nil && q.era == l.era {
		l.remember(user, q.answer)
	}
	close(q.done)
}

func (l *Lookup) remembered(user string) (answer, bool) {
	if a, ok := l.known[user]; ok {
		return a, true
	}
	a, ok := l.unknown[user]
	return a, ok
}

func (l *Lookup) remember(user string, a answer) {
	l.forget(user)
	into := l.known
	if a.secret.kind() == empty {
		into = l.unknown
	}
	if len(into) >= maxAnswers {
		for other := range into { // any: maps begin anywhere
			delete(into, other)
			break
		}
	}
	into[user] = a
}

func (l *Lookup) forget(user string) {
	delete(l.known, user)
	delete(l.unknown, user)
}

// Doubt forgets an answer that did not prove right, unless it is fresh, and
// says whether asking again makes sense.
func (l *Lookup) Doubt(user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, ok := l.remembered(user); ok && l.now().Sub(a.at) < freshFor {
		return false
	}
	l.forget(user)
	return true
}

// Forget drops an answer that a server has contradicted.
func (l *Lookup) Forget(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(user)
}

// ForgetAll drops what is known, and what has been asked so far: passwords may have
// been changed.
func (l *Lookup) ForgetAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.era++
	clear(l.known)
	clear(l.unknown)
	clear(l.asking)
}

// parseStored reads pg_authid.rolpassword. What is neither a hash nor a
// verifier is the password itself, which only a query of one's own can give.
func parseStored(user, text string) (Secret, error) {
	switch {
	case text == "":
		return Secret{}, nil
	case isMD5(text):
		return newSecret(&held{kind: md5Hash, user: user, text: text}), nil
	case strings.HasPrefix(text, scramName+"$"):
		v, err := parseVerifier(text)
		if err != nil {
			return Secret{}, errors.New("auth_query gave a SCRAM verifier that is none")
		}
		return newSecret(&held{kind: verified, user: user, verifier: v}), nil
	}
	return PlainSecret(user, text), nil
}
