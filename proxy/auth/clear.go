package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Methods pam and ldap hand a password in clear text to somebody who judges
// it. It is then what logs in to servers, unless pool_passwd has something.

// errDenied is a judge's verdict; other errors mean that there was none.
var errDenied = errors.New("denied")

// outsideTime is how long a judge may take.
const outsideTime = 15 * time.Second

// outside lets so many logins at once wait for judges, of each kind.
type outside chan struct{}

// checkOutside hears the password and has it judged. name is the method's in
// messages.
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

// judge returns at the end of ctx at the latest. A judge that hangs keeps its
// place, so that hung ones do not pile up.
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

// inClear are the methods by which passwords travel as they are.
var inClear = map[string]bool{"password": true, "pam": true, "ldap": true}

// Warnings are what is legal and yet should be looked at.
func (h *HBA) Warnings() (list []string) {
	if h == nil {
		return nil
	}
	for i := range h.Rules {
		r := &h.Rules[i]
		if inClear[r.Method] && (r.kind == host || r.kind == hostNoSSL) && !r.from.isLoopback() {
			list = append(list, fmt.Sprintf("pool_hba.conf line %d: method %s takes passwords in clear text, and the line "+
				"lets clients in without TLS: begin it with hostssl", r.Line, r.Method))
		}
	}
	return list
}

func (a *addresses) isLoopback() bool {
	return a.word == "samehost" || a.word == "" && a.net.Addr().IsLoopback() &&
		(a.net.Bits() >= 8 && a.net.Addr().Is4() || a.net == netip.PrefixFrom(netip.IPv6Loopback(), 128))
}
