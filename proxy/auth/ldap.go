package auth

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// ldapPlaces bounds how many log-ins ask LDAP at the same time.
var ldapPlaces = make(outside, 64)

// ldapRule is how a rule asks LDAP: by binding as the user, whose name is put between
// prefix and suffix (simple bind), or by searching for the user first (search and
// bind), if there is a base.
type ldapRule struct {
	hosts          []string // each host:port
	scheme         string   // ldap or ldaps
	startTLS       bool
	prefix, suffix string
	base           string
	scope          int
	bindDN         string
	bindPassword   Secret
	filter         string         // has $username
	roots          *x509.CertPool // nil: the system's
}

// checkLDAP is method ldap.
func checkLDAP(a *attempt) (Grant, error) {
	return a.checkOutside("LDAP", ldapPlaces, func(ctx context.Context, password string) error {
		return a.rule.ldap.judge(ctx, a.peer.User, password)
	})
}

// judge says whether LDAP accepts the password, which must not be empty, because LDAP
// would accept an empty one for everybody (RFC 4513, section 5.1.2).
func (r *ldapRule) judge(ctx context.Context, user, password string) error {
	conn, err := r.dial(ctx)
	if err != nil {
		return fmt.Errorf("connect to LDAP: %w", err)
	}
	defer conn.Close()
	end := context.AfterFunc(ctx, func() { conn.Close() })
	defer end()
	dn := r.prefix + user + r.suffix
	if r.base != "" {
		if dn, err = r.search(conn, user); err != nil {
			return err
		}
	}
	return ldapVerdict("bind as the user", conn.Bind(dn, password))
}

// dial connects to the first server that can be reached.
func (r *ldapRule) dial(ctx context.Context) (conn *ldap.Conn, err error) {
	deadline, _ := ctx.Deadline()
	for _, host := range r.hosts {
		name, _, _ := net.SplitHostPort(host)
		config := &tls.Config{ServerName: name, RootCAs: r.roots, MinVersion: tls.VersionTLS12}
		conn, err = ldap.DialURL(r.scheme+"://"+host, ldap.DialWithTLSConfig(config),
			ldap.DialWithDialer(&net.Dialer{Deadline: deadline}))
		if err != nil {
			continue
		}
		conn.SetTimeout(outsideTime)
		if !r.startTLS {
			return conn, nil
		}
		if err = conn.StartTLS(config); err == nil {
			return conn, nil
		}
		conn.Close()
	}
	return nil, err
}

// search finds the user's entry.
func (r *ldapRule) search(conn *ldap.Conn, user string) (dn string, err error) {
	if r.bindDN == "" {
		err = conn.UnauthenticatedBind("")
	} else {
		err = conn.Bind(r.bindDN, r.bindPassword.Plain())
	}
	if err != nil {
		return "", fmt.Errorf("bind to LDAP as ldapbinddn: %w", err)
	}
	filter := strings.ReplaceAll(r.filter, "$username", ldap.EscapeFilter(user))
	found, err := conn.Search(&ldap.SearchRequest{BaseDN: r.base, Scope: r.scope, Filter: filter, SizeLimit: 2,
		TimeLimit: int(outsideTime.Seconds()), Attributes: []string{"1.1"}}) // no attributes: RFC 4511, section 4.5.1.8
	switch {
	case err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
		return "", fmt.Errorf("search in LDAP: %w", err)
	case err != nil || len(found.Entries) > 1:
		return "", fmt.Errorf("%w: LDAP has more than one entry for the user", errDenied)
	case len(found.Entries) == 0:
		return "", fmt.Errorf("%w: LDAP has no entry for the user", errDenied)
	}
	return found.Entries[0].DN, nil
}

// ldapVerdict distinguishes a refusal from a failure.
func ldapVerdict(what string, err error) error {
	if ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultNoSuchObject,
		ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultUnwillingToPerform, ldap.LDAPResultInappropriateAuthentication,
		ldap.LDAPResultConstraintViolation) {
		return fmt.Errorf("%w: %s: %s", errDenied, what, ldap.LDAPResultCodeMap[resultCode(err)])
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func resultCode(err error) uint16 {
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		return e.ResultCode
	}
	return 0
}

// ldapURL is option ldapurl: ldap[s]://host[:port]/base[?[attribute][?[scope][?[filter]]]]
// (RFC 4516).
func ldapURL(l *ldapOptions, value string) error {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.Host == "" {
		return errors.New("want ldap://host or ldaps://host") // the value may hold a password
	}
	if u.User != nil {
		return errors.New("a user in it is not supported: set ldapbinddn")
	}
	l.scheme, l.server, l.port = u.Scheme, u.Hostname(), u.Port()
	l.base, l.scope = strings.TrimPrefix(u.Path, "/"), "base"
	for i, part := range strings.Split(u.RawQuery, "?") {
		text, err := url.PathUnescape(part)
		if err != nil || i > 2 {
			return errors.New("what follows the base is not attribute?scope?filter")
		}
		switch i {
		case 0:
			l.attribute = text
		case 1:
			l.scope = cmp.Or(text, l.scope)
		case 2:
			l.filter = text
		}
	}
	return nil
}
