package auth

import (
	"context"
	"fmt"
	"time"
)

const (
	maxRoles = 10_000 // that a user may be a member of (I5)
	// membersFor is how long memberships are remembered: long enough for many log-ins
	// of a user at once, and short enough that a REVOKE made without pgherd works soon.
	membersFor = time.Second
)

// MembersFinder asks PostgreSQL for the roles of which a user is a member, directly or
// not, also without inheriting their rights; the user itself is one of them. A
// superuser is not a member because of that. A user that does not exist has none.
type MembersFinder func(ctx context.Context, user string) (roles []string, err error)

// Members remembers of which roles users are members.
type Members struct{ *answers[[]string] }

// NewMembers makes one that remembers nothing yet.
func NewMembers(find MembersFinder, now func() time.Time) *Members {
	ask := func(ctx context.Context, user string) ([]string, error) {
		roles, err := find(ctx, user)
		if len(roles) > maxRoles {
			return nil, fmt.Errorf("the user is a member of more than %d roles", maxRoles)
		}
		return roles, err
	}
	return &Members{newAnswers(ask, func(roles []string) bool { return len(roles) == 0 }, membersFor, now)}
}
