package auth

import (
	"net"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// ldapOptions are the options of method ldap as they are written.
type ldapOptions struct {
	scheme, server, port, tls string
	prefix, suffix            string
	base, bindDN, password    string
	attribute, filter, scope  string
}

// ldapText makes an option whose value is kept as it is written.
func ldapText(field func(*ldapOptions) *string) option {
	return func(p *ruleParser, _ *Rule, value string) { *field(&p.ldap) = value }
}

var ldapOptionTable = map[string]option{
	"ldapscheme":          ldapText(func(l *ldapOptions) *string { return &l.scheme }),
	"ldapserver":          ldapText(func(l *ldapOptions) *string { return &l.server }),
	"ldapport":            ldapText(func(l *ldapOptions) *string { return &l.port }),
	"ldaptls":             ldapText(func(l *ldapOptions) *string { return &l.tls }),
	"ldapprefix":          ldapText(func(l *ldapOptions) *string { return &l.prefix }),
	"ldapsuffix":          ldapText(func(l *ldapOptions) *string { return &l.suffix }),
	"ldapbasedn":          ldapText(func(l *ldapOptions) *string { return &l.base }),
	"ldapbinddn":          ldapText(func(l *ldapOptions) *string { return &l.bindDN }),
	"ldapbindpasswd":      ldapText(func(l *ldapOptions) *string { return &l.password }),
	"ldapsearchattribute": ldapText(func(l *ldapOptions) *string { return &l.attribute }),
	"ldapsearchfilter":    ldapText(func(l *ldapOptions) *string { return &l.filter }),
	"ldapurl": func(p *ruleParser, _ *Rule, value string) {
		if err := ldapURL(&p.ldap, value); err != nil {
			p.fail("invalid value of ldapurl: %w", err)
		}
	},
}

// ldapScopes are those of ldapurl; without one it is the whole tree below the
// base, as in PostgreSQL for ldapbasedn; an URL's own default is base.
var ldapScopes = map[string]int{"": ldap.ScopeWholeSubtree, "base": ldap.ScopeBaseObject, "one": ldap.ScopeSingleLevel, "sub": ldap.ScopeWholeSubtree}

// finishLDAP checks whether the options fit together.
func (p *ruleParser) finishLDAP(r *Rule) {
	l := &p.ldap
	searches := l.base != "" || l.bindDN != "" || l.password != "" || l.attribute != "" || l.filter != ""
	scope, scopeKnown := ldapScopes[l.scope]
	switch {
	case p.err != nil:
	case l.server == "":
		p.fail("method ldap needs ldapserver or ldapurl")
	case (l.prefix != "" || l.suffix != "") && searches:
		p.fail("ldapprefix and ldapsuffix do not go with options for a search")
	case l.prefix == "" && l.suffix == "" && l.base == "":
		p.fail("method ldap needs ldapbasedn, ldapprefix or ldapsuffix")
	case l.attribute != "" && l.filter != "":
		p.fail("ldapsearchattribute does not go with ldapsearchfilter")
	case l.scheme != "" && l.scheme != "ldap" && l.scheme != "ldaps":
		p.fail("invalid value of ldapscheme: want ldap or ldaps")
	case l.tls != "" && l.tls != "0" && l.tls != "1":
		p.fail("invalid value of ldaptls: want 0 or 1")
	case l.tls == "1" && l.scheme == "ldaps":
		p.fail("ldaptls does not go with ldaps, which is TLS from the beginning")
	case !scopeKnown:
		p.fail("invalid scope in ldapurl: want base, one or sub")
	default:
		p.buildLDAP(r, scope)
	}
}

func (p *ruleParser) buildLDAP(r *Rule, scope int) {
	l := &p.ldap
	r.ldap = &ldapRule{scheme: "ldap", startTLS: l.tls == "1", prefix: l.prefix, suffix: l.suffix, base: l.base,
		scope: scope, bindDN: l.bindDN, bindPassword: PlainSecret(l.bindDN, l.password), filter: l.filter}
	port := "389"
	if l.scheme == "ldaps" {
		r.ldap.scheme, port = "ldaps", "636"
	}
	if l.port != "" {
		if n, err := strconv.ParseUint(l.port, 10, 16); err != nil || n == 0 {
			p.fail("invalid value of ldapport")
		}
		port = l.port
	}
	for host := range strings.FieldsSeq(l.server) {
		r.ldap.hosts = append(r.ldap.hosts, net.JoinHostPort(host, port))
	}
	if r.ldap.filter == "" {
		attribute := l.attribute
		if attribute == "" {
			attribute = "uid"
		}
		r.ldap.filter = "(" + attribute + "=$username)"
	}
	if _, err := ldap.CompileFilter(strings.ReplaceAll(r.ldap.filter, "$username", "x")); err != nil {
		p.fail("the LDAP filter is invalid")
	}
}
