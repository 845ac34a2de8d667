package auth

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Methods pam and ldap hand a password in clear text to a judge. The same password is
// used to log in to servers, unless pool_passwd has one.

// errDenied says that the judge has refused the password; other errors mean that it has
// not decided.
var errDenied = errors.New("denied")

// outsideTime is how long a judge may take.
const outsideTime = 15 * time.Second

// outside bounds how many log-ins wait for judges of each kind at the same time.
type outside chan struct{}

// checkOutside asks for the password and lets the judge decide. name is the method's
// name in messages.
func (a *attempt) checkOutside(name string, places outside, judge func(ctx context.Context, password string) error) (Grant, error) {
	password, err := a.hearPassword()
	if err != nil {
		return Grant{}, err
	}
	ctx, cancel := context.WithTimeout(a.ctx, outsideTime)
	defer cancel()
	if err := places.judge(ctx, password, judge); errors.Is(err, errDenied) {
		return Grant{}, refuse("28000", fmt.Sprintf("%s authentication failed for user %q", name, a.peer.User), err.Error())
	} else if err != nil {
		return Grant{}, refuse("57P03", name+" authentication is not possible now", err.Error())
	}
	if a.stored.CanLogIn() {
		return Grant{Proof: Here, Secret: a.stored}, nil
	}
	return Grant{Proof: Here, Secret: PlainSecret(a.peer.User, password)}, nil
}

// judge returns at the end of ctx at the latest. A judge that hangs keeps its place, so
// that hanging ones do not accumulate.
func (o outside) judge(ctx context.Context, password string, judge func(context.Context, string) error) error {
	select {
	case o <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for a turn: %w", ctx.Err())
	}
	verdict := make(chan error, 1)
	go func() {
		defer func() { <-o }()
		verdict <- judge(ctx, password)
	}()
	select {
	case err := <-verdict:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for the verdict: %w", ctx.Err())
	}
}
