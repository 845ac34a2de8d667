package auth

import (
	"errors"
	"fmt"
	"strings"
)

// LoadHBA reads pool_hba.conf; names in it are relative to its folder. It reports every
// line that is wrong.
func LoadHBA(path string) (*HBA, error) { return readHBA(path, disk) }

// ParseHBA is LoadHBA for a text; include reads a file that the text names.
func ParseHBA(text string, include func(name string) (string, error)) (*HBA, error) {
	return readHBA(textName, source{read: func(path string) (string, error) {
		if path == textName {
			return text, nil
		}
		return include(path)
	}, list: func(string) ([]string, error) { return nil, errors.New("there are no folders") }})
}

// textName is what errors call a text without a file.
const textName = "pool_hba.conf"

func readHBA(path string, from source) (*HBA, error) {
	h := &HBA{}
	r := &reader{source: from}
	err := r.eachLine(path, func(l *line) error {
		rule, err := parseRule(l)
		h.Rules = append(h.Rules, rule)
		return err
	})
	if err == nil && len(h.Rules) == 0 {
		err = fmt.Errorf("%s: the file contains no entries, nobody could connect", path)
	}
	if err != nil {
		return nil, err
	}
	return h, nil
}

func parseRule(l *line) (Rule, error) {
	r := Rule{File: l.file, Line: l.place.line}
	p := &ruleParser{rest: l.fields}
	p.connection(&r)
	r.databases = p.names("database")
	r.users = p.names("role")
	if r.kind != local {
		r.from = p.addresses()
	}
	p.method(&r)
	p.options(&r)
	if r.Method == "ldap" {
		p.finishLDAP(&r)
	}
	return r, p.err
}

// ruleParser reads fields in order. It keeps the first error.
type ruleParser struct {
	rest [][]token
	err  error
	ldap ldapOptions
}

func (p *ruleParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	p.rest = nil
}

// list reads a field of one or more tokens. Errors have PostgreSQL's words.
func (p *ruleParser) list(what string) []token {
	if len(p.rest) == 0 {
		p.fail("end-of-line before %s", what)
		return nil
	}
	field := p.rest[0]
	p.rest = p.rest[1:]
	return field
}

// one reads a field of exactly one token; errors about several call it kind.
func (p *ruleParser) one(what, kind string) token {
	field := p.list(what)
	if p.err == nil && len(field) != 1 {
		p.fail("multiple values specified for %s: write one per line", kind)
	}
	if p.err != nil {
		return token{}
	}
	return field[0]
}

func (p *ruleParser) connection(r *Rule) {
	word := p.one("connection type", "connection type")
	kind, known := connections[word.text]
	if !known {
		p.fail("invalid connection type %q: want local, host, hostssl, hostnossl, hostgssenc or hostnogssenc", word.text)
	}
	r.kind = kind
}

// names reads names of databases or roles.
func (p *ruleParser) names(what string) []token {
	names := p.list(what + " specification")
	for i := range names {
		compiled, err := names[i].compiled()
		if err != nil {
			p.fail("%w", err)
		}
		names[i] = compiled
	}
	return names
}

func (p *ruleParser) method(r *Rule) {
	r.Method = p.one("authentication method", "authentication type").text
	_, known := methods[r.Method]
	switch {
	case p.err != nil:
	case notHere[r.Method]:
		p.fail("authentication method %q is not supported by pgherd: want %s", r.Method, methodNames)
	case !known:
		p.fail("invalid authentication method %q: want %s", r.Method, methodNames)
	}
	if r.Method == "pam" {
		p.startPAM(r)
	}
	if r.Method == "cert" {
		r.ClientCert = CertFull
		if r.kind != hostSSL {
			p.fail("cert authentication is only supported on hostssl connections")
		}
	}
}

// notHere are methods that PostgreSQL has and pgherd does not.
var notHere = map[string]bool{"ident": true, "peer": true, "gss": true, "sspi": true, "radius": true, "bsd": true, "oauth": true}

const methodNames = "trust, reject, password, md5, scram-sha-256, cert, pam or ldap"

// options reads what follows the method; a field may have several, separated by commas.
func (p *ruleParser) options(r *Rule) {
	for len(p.rest) > 0 {
		for _, word := range p.list("option") {
			p.option(r, word.text)
		}
	}
}

func (p *ruleParser) option(r *Rule, text string) {
	name, value, found := strings.Cut(text, "=")
	take := options[name]
	if take == nil {
		take = methodOptions[r.Method][name]
	}
	switch {
	case p.err != nil:
	case !found: // the text may be a part of a password
		p.fail("authentication option not in name=value format (quote a value with blanks)")
	case take != nil:
		take(p, r, value)
	case methodOf(name) != "":
		p.fail("authentication option %q is only valid for authentication methods %s", name, methodOf(name))
	default:
		p.fail("unrecognized authentication option name: %q", name)
	}
}

// methodOf is the method that has an option of that name.
func methodOf(option string) string {
	for method, options := range methodOptions {
		if options[option] != nil {
			return method
		}
	}
	return ""
}
