package auth

import (
	"context"
	"fmt"
	"runtime"

	"pgherd/proxy/wire"
)

// attempt is the authentication of one client.
type attempt struct {
	talk
	ctx    context.Context // ends with the log-in
	policy *Policy
	peer   *Peer
	rule   *Rule // nil without pool_hba.conf
	search *search
	stored Secret // what is known of the user's password; see know
	source string // where the secret comes from, for the log
}

// know looks the user up by auth_query if pool_passwd does not have the user. Methods
// that compare with a stored secret begin with it.
func (a *attempt) know() error {
	if a.stored.kind() != empty || a.policy.Lookup == nil {
		return nil
	}
	a.source = "auth_query"
	var err error
	a.stored, err = a.policy.Lookup.Find(a.ctx, a.peer.User)
	return a.unavailable(err)
}

// doubt is called after a failed proof, because PostgreSQL may have another secret by
// now, with which the next attempt must be compared. It says whether it makes sense to
// ask. An unknown user is treated like a known one.
func (a *attempt) doubt() bool {
	return a.source == "auth_query" && a.policy.Lookup.Doubt(a.peer.User)
}

// again is doubt, and fetches the secret at once to compare with it.
func (a *attempt) again() (fetched bool, err error) {
	if !a.doubt() {
		return false, nil
	}
	a.stored, err = a.policy.Lookup.Find(a.ctx, a.peer.User)
	return err == nil, a.unavailable(err)
}

func (a *attempt) unavailable(err error) error {
	if err == nil {
		return nil
	}
	r := refuse("57P03", "the user cannot be looked up in PostgreSQL now", err.Error())
	r.Fault.Hint = "pgherd asks the primary, or a standby while there is none, by auth_query for users that are not in pool_passwd."
	return r
}

// costly bounds how many passwords of clients are derived at the same time, so that
// guesses leave processors to everybody else.
var costly = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))

// derive waits for its turn and calls deriveKeys.
func (a *attempt) derive(password string, v verifier) (scramKeys, error) {
	select {
	case costly <- struct{}{}:
		defer func() { <-costly }()
		return deriveKeys(password, v.salt, v.iterations), nil
	case <-a.ctx.Done():
		return scramKeys{}, fmt.Errorf("check password: %w", a.ctx.Err())
	}
}

// wrong is the answer to every failed proof, whatever the reason.
func (a *attempt) wrong() *Refusal {
	reason := "the password does not match " + a.source
	if a.stored.kind() == empty {
		reason = "the user is not in pool_passwd"
		if a.policy.Lookup != nil {
			reason = "the user is neither in pool_passwd nor does auth_query give a password"
		}
	}
	return refuse("28P01", fmt.Sprintf("password authentication failed for user %q", a.peer.User), reason)
}

// hearPassword asks for the password in clear text.
func (a *attempt) hearPassword() (string, error) {
	body, err := a.ask(wire.AppendAuthenticationCleartextPassword(nil))
	if err != nil {
		return "", err
	}
	v, err := wire.ViewPassword(body)
	if err != nil {
		return "", violation("invalid password packet", "")
	}
	if len(v.Password) == 0 {
		return "", refuse("28P01", "empty password returned by client", "")
	}
	return string(v.Password), nil
}
