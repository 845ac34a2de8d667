package auth

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Limits of what is remembered of auth_query (I5). The log-ins that ask bound how many
// questions are in progress.
const (
	maxAnswers    = 20_000           // users with a password, and as many without
	lookupTimeout = 10 * time.Second // of one question
	// freshFor is how young an answer must be to be beyond doubt: a wrong password
	// makes pgherd ask PostgreSQL again, many in a row do not.
	freshFor = time.Second
)

// Finder asks PostgreSQL for the stored password of a user.
type Finder func(ctx context.Context, user string) (text string, found bool, err error)

// Lookup remembers the answers of auth_query.
type Lookup struct{ *answers[Secret] }

// NewLookup makes a Lookup that remembers nothing yet; with ttl 0 it never does.
func NewLookup(find Finder, ttl time.Duration, now func() time.Time) *Lookup {
	ask := func(ctx context.Context, user string) (Secret, error) {
		text, found, err := find(ctx, user)
		if err != nil || !found {
			return Secret{}, err
		}
		return parseStored(user, text)
	}
	return &Lookup{newAnswers(ask, func(s Secret) bool { return s.kind() == empty }, ttl, now)}
}

// parseStored reads pg_authid.rolpassword. Anything that is neither a hash nor a
// verifier is the password itself, which only a query of the administrator's own can
// return.
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
