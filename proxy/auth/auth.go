// Package auth proves who somebody is, once per connection and in both
// directions: a Policy authenticates an application as PostgreSQL would (one
// method per file), LogIn logs pgherd in to PostgreSQL.
//
// Contract: everything blocks on the connection it is given; the caller sets
// the deadline. No byte is read beyond the last message, so that the
// connection can move to a ring afterwards. Neither direction sends
// AuthenticationOk to a client: the session does, once the server side works.
// A client is told a *wire.Fault; a Refusal adds why, for our log only. No
// secret is in an error, a log or a String (I9).
//
// An unknown user costs what a known one costs, step by step, and gets the
// same error.
package auth

import (
	"fmt"
	"io"
	"net/netip"

	"pgherd/proxy/wire"
)

// Peer is what is known of a client before it has proved anything.
type Peer struct {
	Local      bool       // came through a Unix socket
	Addr       netip.Addr // where from, IPv4 as IPv4; unset if Local
	TLS        bool
	Certified  bool   // has a certificate that our ssl_ca_cert vouches for
	CommonName string // of that certificate
	User       string
	Database   string
	Physical   bool // asks for physical replication: no database
	// Own are this host's addresses with their networks, for samehost and
	// samenet; asked only if a rule needs it.
	Own func() []netip.Prefix
}

// host is how messages name where the client is.
func (p *Peer) host() string {
	if p.Local {
		return "[local]"
	}
	return p.Addr.String()
}

// Proof says who vouches for a client, and so whose servers it may be given (I1).
type Proof uint8

// The proofs. What they mean for sharing is explained at Grant.Sharing.
const (
	// Nobody: without pool_hba.conf and without a stored password the client
	// was let in unasked. Servers must ask for nothing either.
	Nobody Proof = iota
	// Here: a rule of pool_hba.conf or a secret of pool_passwd settled it.
	Here
	// Server: the client gave a password that only PostgreSQL can judge.
	Server
)

// Grant is what a client that passed may use.
type Grant struct {
	Proof  Proof
	Secret Secret // to log in to servers with; may be empty
	Method string // how it passed, for the log
	Line   int    // of pool_hba.conf; 0 without
}

// Policy is how clients are authenticated: an immutable snapshot.
type Policy struct {
	HBA    *HBA    // nil: enable_pool_hba is off
	Passwd *Passwd // nil: no pool_passwd
	// AllowClearText is allow_clear_text_frontend_auth: without a stored
	// secret and without HBA, ask for the password and let the server judge.
	AllowClearText bool
}

// Check authenticates the client at the other end of conn, whose deadline the
// caller has set. A client that fails gets a *Refusal; other errors mean that
// conn broke, or a *wire.Fault that the client broke the protocol.
func (p *Policy) Check(conn io.ReadWriter, peer Peer) (Grant, error) {
	t := talk{conn}
	stored := p.Passwd.Find(peer.User)
	if p.HBA == nil {
		return p.checkWithoutRules(t, &peer, stored)
	}
	rule := p.HBA.Match(&peer)
	if rule == nil {
		return Grant{}, noEntry(&peer)
	}
	if err := rule.checkCertificate(&peer); err != nil {
		return Grant{}, err
	}
	grant, err := methods[rule.Method](t, &peer, stored)
	grant.Method, grant.Line = rule.Method, rule.Line
	return grant, err
}

// checkWithoutRules is enable_pool_hba = off. Pgpool-II then lets PostgreSQL
// decide. Here whoever has an entry in pool_passwd must prove it, because
// servers are opened with that entry; others are judged by the server.
func (p *Policy) checkWithoutRules(t talk, peer *Peer, stored Secret) (grant Grant, err error) {
	switch {
	case stored.kind() == md5Hash:
		grant, err = checkMD5(t, peer, stored)
		grant.Method = "md5"
	case stored.kind() != empty:
		grant, err = checkSCRAM(t, peer, stored)
		grant.Method = "scram-sha-256"
	case p.AllowClearText:
		grant, err = checkPassword(t, peer, stored)
		grant.Method = "password"
	default:
		grant = Grant{Proof: Nobody, Method: "trust"}
	}
	return grant, err
}

// method authenticates one client. stored is empty for a user not in
// pool_passwd.
type method func(t talk, peer *Peer, stored Secret) (Grant, error)

// methods is the table of what pool_hba.conf may name.
var methods = map[string]method{
	"trust":         checkTrust,
	"reject":        checkReject,
	"password":      checkPassword,
	"md5":           checkMD5,
	"scram-sha-256": checkSCRAM,
	"cert":          checkCert,
}

// Refusal is why a client is turned away.
type Refusal struct {
	Fault  wire.Fault // what it is told
	Reason string     // for our log only; never a secret
}

func (r *Refusal) Error() string {
	if r.Reason == "" {
		return r.Fault.Message
	}
	return r.Fault.Message + ": " + r.Reason
}

// Unwrap gives the *wire.Fault.
func (r *Refusal) Unwrap() error { return &r.Fault }

func refuse(code, message, reason string) *Refusal {
	return &Refusal{Fault: wire.Fault{Severity: "FATAL", Code: code, Message: message}, Reason: reason}
}

// wrongPassword is the one answer to every failed proof, whatever the reason.
func wrongPassword(peer *Peer, stored Secret) *Refusal {
	reason := "the password does not match pool_passwd"
	if stored.kind() == empty {
		reason = "the user is not in pool_passwd"
	}
	return refuse("28P01", fmt.Sprintf("password authentication failed for user %q", peer.User), reason)
}

// violation says that somebody broke the protocol.
func violation(message, detail string) *wire.Fault {
	return &wire.Fault{Severity: "FATAL", Code: "08P01", Message: message, Detail: detail}
}
