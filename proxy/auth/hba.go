package auth

import (
	"net/netip"
	"slices"
)

// HBA is pool_hba.conf: rules in order, the first that matches decides.
type HBA struct{ Rules []Rule }

// Rule is a line of pool_hba.conf.
type Rule struct {
	Line       int
	Method     string // a key of methods
	ClientCert CertDemand
	ByDN       bool   // the certificate's whole subject counts, not its common name
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
)

// connections are the names of the first field.
var connections = map[string]connection{"local": local, "host": host, "hostssl": hostSSL, "hostnossl": hostNoSSL}

// CertDemand is option clientcert: what a client's certificate must be.
type CertDemand uint8

// The demands.
const (
	CertNone CertDemand = iota
	CertCA              // vouched for by ssl_ca_cert
	CertFull            // and its name is the user's, or mapped to it
)

// addresses is the fourth field of a rule: where clients may come from.
type addresses struct {
	word string // "all", "samehost", "samenet"; "": prefix
	net  netip.Prefix
}

// Match finds the rule for a client; nil if there is none.
func (h *HBA) Match(peer *Peer) *Rule {
	i := slices.IndexFunc(h.Rules, func(r Rule) bool { return r.matches(peer) })
	if i < 0 {
		return nil
	}
	return &h.Rules[i]
}

func (r *Rule) matches(peer *Peer) bool {
	return r.kind.matches(peer) &&
		(r.kind == local || r.from.match(peer)) &&
		slices.ContainsFunc(r.databases, func(t token) bool { return t.matchesDatabase(peer) }) &&
		slices.ContainsFunc(r.users, func(t token) bool { return t.is("all") || t.text == peer.User })
}

func (c connection) matches(peer *Peer) bool {
	switch c {
	case local:
		return peer.Local
	case hostSSL:
		return !peer.Local && peer.TLS
	case hostNoSSL:
		return !peer.Local && !peer.TLS
	}
	return !peer.Local
}

// matchesDatabase: physical replication has no database and matches only the
// word for it, as in PostgreSQL.
func (t token) matchesDatabase(peer *Peer) bool {
	switch {
	case peer.Physical:
		return t.is("replication")
	case t.is("replication"):
		return false
	case t.is("all"):
		return true
	case t.is("sameuser"):
		return peer.Database == peer.User
	}
	return t.text == peer.Database
}

func (a *addresses) match(peer *Peer) bool {
	switch a.word {
	case "all":
		return true
	case "samehost":
		return slices.ContainsFunc(peer.Own(), func(p netip.Prefix) bool { return p.Addr() == peer.Addr })
	case "samenet":
		return slices.ContainsFunc(peer.Own(), func(p netip.Prefix) bool { return p.Contains(peer.Addr) })
	}
	return a.net.Contains(peer.Addr)
}
