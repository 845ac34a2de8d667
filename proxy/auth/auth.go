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
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"pgherd/proxy/wire"
)

// Peer is what is known of a client before it is authenticated.
type Peer struct {
	Local      bool       // connected through a Unix socket
	Addr       netip.Addr // the client's address, IPv4 in its own form; unset if Local
	TLS        bool
	Certified  bool    // has a certificate of an authority in ssl_ca_cert
	CommonName string  // of that certificate
	Subject    string  // of that certificate; see SubjectDN
	Binding    Binding // of the TLS that the client speaks with us
	User       string
	Database   string
	Physical   bool // asks for physical replication: no database
	// Own are this host's addresses with their networks, for samehost and samenet;
	// called only if a rule needs them.
	Own func() []netip.Prefix
}

// host names the client's host in messages.
func (p *Peer) host() string {
	if p.Local {
		return "[local]"
	}
	return p.Addr.String()
}

// Proof says who has authenticated a client, and so whose servers it may be given (I1).
type Proof uint8

// The proofs. Grant.Sharing explains what they mean for sharing.
const (
	// Nobody: without pool_hba.conf and without a stored password the client was let in
	// without a proof. Servers must ask for none either.
	Nobody Proof = iota
	// Here: a rule of pool_hba.conf or a secret of pool_passwd has decided.
	Here
	// Server: the client gave a password that only PostgreSQL can check.
	Server
)

// Grant is what an authenticated client may use.
type Grant struct {
	Proof  Proof
	Secret Secret // for logging in to servers; may be empty
	Method string // how the client was authenticated, for the log
	Line   int    // line of pool_hba.conf, or of a file that it includes; 0: none
	Told   bool   // it rests on what PostgreSQL has said of the user
}

// Policy says how clients are authenticated; it is an immutable snapshot.
type Policy struct {
	HBA    *HBA    // nil: enable_pool_hba is off
	Ident  *Ident  // nil: no ident_file
	Passwd *Passwd // nil: no pool_passwd
	Lookup *Lookup // nil: no auth_query; otherwise asked for users that Passwd does not have
	// Resolver and Members are asked if a line needs them. Members is nil if there is
	// no user to ask as.
	Resolver Resolver
	Members  *Members
	// AllowClearText is allow_clear_text_frontend_auth: without a stored secret and
	// without HBA, ask for the password and let the server check it.
	AllowClearText bool
}

// Validate finds errors that only the files together can have.
func (p *Policy) Validate() error {
	if p.HBA == nil {
		return nil
	}
	var errs []error
	for i := range p.HBA.Rules {
		if r := &p.HBA.Rules[i]; r.Map != "" && !p.Ident.has(r.Map) {
			errs = append(errs, r.place().wrong(fmt.Errorf("map %q is not in ident_file", r.Map)))
		}
	}
	return errors.Join(errs...)
}

// ForgetAll forgets what PostgreSQL has answered, because roles may have changed.
func (p *Policy) ForgetAll() {
	if p.Lookup != nil {
		p.Lookup.ForgetAll()
	}
	if p.Members != nil {
		p.Members.ForgetAll()
	}
}

// Check authenticates the client at the other end of conn, whose deadline the caller
// has set and ctx knows. For a client that fails the error is a *Refusal. Other errors
// mean that conn is broken; a *wire.Fault means that the client has violated the
// protocol.
func (p *Policy) Check(ctx context.Context, conn io.ReadWriter, peer Peer) (Grant, error) {
	a := &attempt{talk: talk{conn}, ctx: ctx, policy: p, peer: &peer, stored: p.Passwd.Find(peer.User), source: "pool_passwd"}
	if p.HBA == nil {
		grant, err := a.checkWithoutRules()
		grant.Told = a.told(grant.Proof)
		return grant, err
	}
	a.search = &search{ctx: ctx, policy: p, peer: &peer}
	var err error
	if a.rule, err = p.HBA.match(a.search); err != nil {
		return Grant{}, err
	}
	if a.rule == nil {
		return Grant{}, noEntry(&peer, a.search.resolved())
	}
	if err := a.checkCertificate(); err != nil {
		return Grant{}, err
	}
	grant, err := methods[a.rule.Method](a)
	grant.Method, grant.Line, grant.Told = a.rule.Method, a.rule.Line, a.told(grant.Proof)
	return grant, err
}

// told says that what is granted rests on what PostgreSQL has said of the user.
func (a *attempt) told(by Proof) bool {
	return by == Server || a.source == "auth_query" || a.search != nil && a.search.rolesAsked
}

// Confirm finds out again, without the client, whether the rules let the client in as they did
// when it was granted: of which roles the user is a member may have changed.
func (p *Policy) Confirm(ctx context.Context, peer Peer, granted *Grant) error {
	if p.HBA == nil {
		return nil
	}
	if p.Members != nil {
		p.Members.Forget(peer.User)
	}
	s := &search{ctx: ctx, policy: p, peer: &peer}
	rule, err := p.HBA.match(s)
	switch {
	case err != nil:
		return err
	case rule == nil || rule.Line != granted.Line || rule.Method != granted.Method:
		return noEntry(&peer, s.resolved())
	}
	return nil
}

// checkWithoutRules is enable_pool_hba = off. Pgpool-II then lets PostgreSQL decide.
// Here a user who has an entry in pool_passwd, or a password by auth_query, must prove
// it, because servers are opened with that. The server checks other users; they are
// refused if auth_query should have known them.
func (a *attempt) checkWithoutRules() (grant Grant, err error) {
	if err := a.know(); err != nil {
		return Grant{}, err
	}
	switch {
	case a.stored.kind() == md5Hash:
		grant, err = checkMD5(a)
		grant.Method = "md5"
	case a.stored.kind() == empty && a.policy.AllowClearText:
		grant, err = checkPassword(a)
		grant.Method = "password"
	case a.stored.kind() != empty || a.policy.Lookup != nil:
		grant, err = checkSCRAM(a)
		grant.Method = "scram-sha-256"
	default:
		grant = Grant{Proof: Nobody, Method: "trust"}
	}
	return grant, err
}

// method authenticates one client.
type method func(a *attempt) (Grant, error)

// methods is the table of methods that pool_hba.conf may name.
var methods = map[string]method{
	"trust":         checkTrust,
	"reject":        checkReject,
	"password":      checkPassword,
	"md5":           checkMD5,
	"scram-sha-256": checkSCRAM,
	"cert":          checkCert,
	"pam":           checkPAM,
	"ldap":          checkLDAP,
}

// Refusal is why a client is refused.
type Refusal struct {
	Fault  wire.Fault // what the client is told
	Reason string     // for the log only; never a secret
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

// violation says that the client violates the protocol.
func violation(message, detail string) *wire.Fault {
	return &wire.Fault{Severity: "FATAL", Code: "08P01", Message: message, Detail: detail}
}
