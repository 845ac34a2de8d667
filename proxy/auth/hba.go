package auth

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// HBA is pool_hba.conf: rules in order, of which the first that matches decides.
type HBA struct{ Rules []Rule }

// Rule is a line of pool_hba.conf.
type Rule struct {
	File       string
	Line       int
	Method     string // a key of methods
	ClientCert CertDemand
	ByDN       bool   // the certificate's whole subject is compared, not its common name
	Map        string // user name map of method cert

	kind      connection
	databases []token
	users     []token
	from      addresses
	ldap      *ldapRule
	pam       *pamRule
}

// connection is the first field of a rule.
type connection uint8

const (
	local connection = iota
	host
	hostSSL
	hostNoSSL
	hostGSS // never matches, because clients are told that there is no GSSAPI
)

// connections are the names of the first field.
var connections = map[string]connection{"local": local, "host": host, "hostssl": hostSSL, "hostnossl": hostNoSSL,
	"hostgssenc": hostGSS, "hostnogssenc": host}

// CertDemand is option clientcert: what a client's certificate must be.
type CertDemand uint8

// The demands.
const (
	CertNone CertDemand = iota
	CertCA              // from an authority in ssl_ca_cert
	CertFull            // and its name is the user's, or mapped to it
)

// match returns the first rule that matches the client; nil if there is none.
func (h *HBA) match(s *search) (*Rule, error) {
	var passed *Rule // it cannot be known whether this rule would have matched
	for i := range h.Rules {
		r := &h.Rules[i]
		found, err := r.matches(s)
		switch {
		case s.ctx.Err() != nil: // what took too long is no answer
			return nil, s.ctx.Err()
		case errors.Is(err, errNobody) && r.Method != "reject":
			passed = cmp.Or(passed, r)
		case err != nil:
			return nil, r.undecided(err)
		case found && passed != nil && r.Method == "trust" && passed.Method != "trust":
			return nil, passed.undecided(errNobody)
		case found:
			return r, nil
		}
	}
	return nil, nil
}

// undecided is why a log-in is refused if it cannot be known now whether the rule
// matches it. To skip a reject, or a proof in favour of trust, would let in somebody
// whom the file keeps out.
func (r *Rule) undecided(err error) error {
	refusal := refuse("57P03", "it cannot be found out now which roles the user is a member of", fmt.Sprintf("%v: %v", r.place(), err))
	refusal.Fault.Hint = "A line of pool_hba.conf depends on it, for which pgherd asks the primary, or a standby while there is none, as auth_user, or as sr_check_user."
	return refusal
}

// place is the rule's file and line.
func (r *Rule) place() place { return place{r.File, r.Line} }

// matches checks first what costs nothing, then the name of the client's host, and
// memberships last.
func (r *Rule) matches(s *search) (bool, error) {
	if !r.kind.matches(s.peer) || r.kind != local && r.from.kind != named && !r.from.matches(s.peer) {
		return false, nil
	}
	database, user := best(r.databases, s.peer.inDatabase), best(r.users, s.peer.asUser)
	if database == no || user == no || r.kind != local && r.from.kind == named && !s.named(r.from.name) {
		return false, nil
	}
	if database == yes && user == yes {
		return true, nil
	}
	roles, err := s.roles()
	if err != nil {
		return false, err
	}
	return (database == yes || slices.Contains(roles, s.peer.Database)) && (user == yes || anyOf(r.users, roles)), nil
}

// anyOf says that +role is among the names for one of the roles.
func anyOf(names []token, roles []string) bool {
	return slices.ContainsFunc(names, func(t token) bool {
		role, is := t.members()
		return is && slices.Contains(roles, role)
	})
}

func (c connection) matches(peer *Peer) bool {
	switch c {
	case local:
		return peer.Local
	case hostSSL:
		return !peer.Local && peer.TLS
	case hostNoSSL:
		return !peer.Local && !peer.TLS
	case hostGSS:
		return false
	}
	return !peer.Local
}

// verdict is how a name matches a client.
type verdict uint8

const (
	no     verdict = iota
	member         // yes, if the user is a member of a role
	yes
)

func verdictOf(is bool) verdict {
	if is {
		return yes
	}
	return no
}

// best is the best match of the names.
func best(names []token, of func(t token) verdict) (v verdict) {
	for _, t := range names {
		v = max(v, of(t))
	}
	return v
}

// inDatabase knows that physical replication has no database and matches only the
// keyword for it, as in PostgreSQL.
func (p *Peer) inDatabase(t token) verdict {
	switch {
	case p.Physical:
		return verdictOf(t.is("replication"))
	case t.is("replication"):
		return no
	case t.is("all"):
		return yes
	case t.is("sameuser"):
		return verdictOf(p.Database == p.User)
	case t.is("samerole") || t.is("samegroup"):
		return member
	}
	return verdictOf(t.names(p.Database))
}

func (p *Peer) asUser(t token) verdict {
	if _, is := t.members(); is {
		return member
	}
	return verdictOf(t.is("all") || t.names(p.User))
}

// names says that a token which is no keyword is this name, or matches it.
func (t token) names(name string) bool {
	if t.match != nil {
		return t.match.MatchString(name)
	}
	return t.text == name
}
