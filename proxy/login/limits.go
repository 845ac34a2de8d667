package login

import (
	"context"
	"errors"
	"fmt"

	"pgherd/proxy/auth"
	"pgherd/proxy/wire"
)

// places bound a listener's log-ins in progress. A log-in that waits for others from
// its address gives its place back meanwhile.
type places chan struct{}

func (p places) take() { p <- struct{}{} }
func (p places) drop() { <-p }

// admit waits until the client's address may have one more login. The caller
// calls left once the login is over, after an error too.
func (l *login) admit(ctx context.Context, own places) (left func(), err error) {
	if l.peer.Local {
		return func() {}, nil
	}
	c, addr := &l.gate.limiter, siteOf(l.peer.Addr)
	turn, ok := c.enter(addr, l.settings.MaxLogins)
	if !ok {
		return func() {}, tooMany("too many logins at once from your address",
			fmt.Sprintf("max_logins_per_address is %d, and %d connections wait for their turn.", l.settings.MaxLogins, maxWaiting))
	}
	if turn != nil {
		own.drop()
		defer own.take()
		select {
		case <-turn:
		case <-ctx.Done():
			c.giveUp(addr, turn)
			return func() {}, ctx.Err()
		}
	}
	left = func() { c.leave(addr) }
	if l.gate.failures.lockedOut(l.peer.Addr, l.settings.Failures) {
		return left, l.lockedOut()
	}
	return left, nil
}

// barredUser is checked once the user is known, and before anything costly.
func (l *login) barredUser() error {
	if !l.peer.Local && l.gate.failures.barredUser(l.peer.Addr, l.peer.User, l.settings.Failures) {
		return l.lockedOut()
	}
	return nil
}

// errBarred marks refusals that are not logged one by one.
var errBarred = errors.New("lockedOut")

func (l *login) lockedOut() error {
	r := l.settings.Failures
	f := tooMany("too many failed logins from your address",
		fmt.Sprintf("auth_failure_limit is %d in %v; try again later.", r.Limit, r.Window))
	return fmt.Errorf("%w: %w", errBarred, f)
}

func tooMany(message, detail string) *wire.Fault {
	return &wire.Fault{Severity: "FATAL", Code: "53400", Message: message, Detail: detail}
}

// judge counts the outcome of a log-in for its address, as a success or as a failure.
func (l *login) judge(err error) {
	if l.peer.Local || l.peer.User == "" {
		return
	}
	r := l.settings.Failures
	fault, _ := errors.AsType[*wire.Fault](err)
	_, refused := errors.AsType[*auth.Refusal](err)
	switch {
	case err == nil:
		l.gate.failures.succeeded(l.peer.Addr, l.peer.User, r)
	case errors.Is(err, errBarred):
	case refused && fault.Code[:2] == "28", fault != nil && fault.Code == "28P01", l.proving && timedOut(err):
		if l.gate.failures.failed(l.peer.Addr, l.peer.User, r) {
			l.gate.log.Warn("too many failed logins; further ones from there are refused for a while", "host", l.client.Host,
				"user", l.peer.User, "auth_failure_limit", r.Limit, "auth_failure_window", r.Window)
		}
	}
}
