package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Resolver looks up names of hosts, as net.Resolver does.
type Resolver interface {
	LookupAddr(ctx context.Context, addr string) (names []string, err error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// hostTime is how long a look-up of a host may take, of which a log-in needs two at
// most. A look-up that takes longer has failed, and the rule does not match. The
// log-ins that wait for look-ups bound how many are in progress.
const hostTime = 10 * time.Second

// search is one log-in's way through the rules. What it must find out is asked once,
// and only if a rule needs it.
type search struct {
	ctx    context.Context
	policy *Policy
	peer   *Peer

	asked, confirmed bool
	host             string // of the client, as its address says
	hostErr          error  // why no name matches

	rolesAsked bool
	ownRoles   []string
	rolesErr   error
}

// errNobody says that there is no user as whom memberships can be asked for.
var errNobody = errors.New("there is nobody to ask which roles a user is a member of: set auth_user, or sr_check_user")

// roles are those of which the user is a member, itself among them.
func (s *search) roles() ([]string, error) {
	if !s.rolesAsked {
		s.rolesAsked, s.rolesErr = true, errNobody
		if s.policy.Members != nil {
			s.ownRoles, s.rolesErr = s.policy.Members.Find(s.ctx, s.peer.User)
		}
	}
	return s.ownRoles, s.rolesErr
}

// named says that the client's host has this name, or one that ends in this .suffix:
// the address must resolve to the name, and the name to the address.
func (s *search) named(pattern string) bool {
	s.askHost()
	if s.hostErr != nil || !matchesHost(pattern, s.host) {
		return false
	}
	if !s.confirmed {
		s.confirmed, s.hostErr = true, s.lookUp(s.forward)
	}
	return s.hostErr == nil
}

func (s *search) askHost() {
	if !s.asked {
		s.asked, s.hostErr = true, s.lookUp(s.reverse)
	}
}

func matchesHost(pattern, host string) bool {
	if strings.HasPrefix(pattern, ".") && len(host) > len(pattern) {
		host = host[len(host)-len(pattern):]
	}
	return lowerASCII(pattern) == lowerASCII(host)
}

// lowerASCII changes A to Z only, because no other letter may become one of a host's
// name.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

func (s *search) lookUp(ask func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(s.ctx, hostTime)
	defer cancel()
	return ask(ctx)
}

// reverse returns the first name, which is the one that PostgreSQL sees.
func (s *search) reverse(ctx context.Context) error {
	names, err := s.policy.Resolver.LookupAddr(ctx, s.peer.Addr.String())
	if len(names) > 0 {
		s.host = strings.TrimSuffix(names[0], ".")
		return nil
	}
	if err == nil {
		err = errors.New("there is none")
	}
	return fmt.Errorf("look up the name of the client's host: %w", err)
}

func (s *search) forward(ctx context.Context) error {
	addrs, err := s.policy.Resolver.LookupNetIP(ctx, "ip", s.host)
	if err != nil {
		return fmt.Errorf("look up the address of host %q: %w", s.host, err)
	}
	if !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Unmap().WithZone("") == s.peer.Addr }) {
		return fmt.Errorf("look up the address of host %q: it is not the client's", s.host)
	}
	return nil
}

// resolved says, for the log, what the look-up of the client's host has found.
func (s *search) resolved() string {
	switch {
	case s.hostErr != nil:
		return s.hostErr.Error()
	case !s.asked:
		return ""
	case s.confirmed:
		return fmt.Sprintf("the client's host is %q", s.host)
	}
	return fmt.Sprintf("the client's host calls itself %q, which was not looked up", s.host)
}
