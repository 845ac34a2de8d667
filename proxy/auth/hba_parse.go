package auth

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// LoadHBA reads pool_hba.conf; @file is relative to its folder.
func LoadHBA(path string) (*HBA, error) {
	text, err := readLimited(path, maxHBAFile)
	if err != nil {
		return nil, fmt.Errorf("read pool_hba.conf: %w", err)
	}
	return ParseHBA(text, includeBeside(path))
}

// ParseHBA parses the text of pool_hba.conf; include reads a file that it
// names with @. Every line that is wrong is reported.
func ParseHBA(text string, include func(name string) (string, error)) (*HBA, error) {
	h := &HBA{}
	err := eachLine(text, "pool_hba.conf", func(number int, line string) error {
		rule, found, err := parseRule(line, include)
		if err == nil && found {
			rule.Line = number
			h.Rules = append(h.Rules, rule)
		}
		return err
	})
	if err == nil && len(h.Rules) == 0 {
		err = errors.New("read pool_hba.conf: there is no rule in it, nobody could connect")
	}
	if err != nil {
		return nil, err
	}
	return h, nil
}

// eachLine gives the lines of a file, those joined by a backslash at the end
// as one. All errors come back together, each with its line.
func eachLine(text, file string, parse func(number int, line string) error) error {
	var errs []error
	number, joined, begins := 0, "", 1
	for line := range strings.Lines(text) {
		number++
		if joined == "" {
			begins = number
		}
		line = strings.TrimRight(line, "\r\n")
		if head, goesOn := strings.CutSuffix(line, `\`); goesOn {
			joined += head
			continue
		}
		line, joined = joined+line, ""
		if err := parse(begins, line); err != nil {
			errs = append(errs, fmt.Errorf("read %s line %d: %w", file, begins, err))
		}
	}
	if joined != "" {
		errs = append(errs, fmt.Errorf("read %s line %d: the file ends where the line goes on", file, begins))
	}
	return errors.Join(errs...)
}

func parseRule(line string, include func(string) (string, error)) (r Rule, found bool, err error) {
	list, err := fields(line)
	if err != nil || len(list) == 0 {
		return r, false, err
	}
	for i := range list {
		if list[i], err = expand(list[i], include, 0); err != nil {
			return r, false, err
		}
	}
	p := &ruleParser{rest: list}
	p.connection(&r)
	r.databases = p.names("database", "samegroup", "samerole")
	r.users = p.names("user")
	if r.kind != local {
		r.from = p.addresses()
	}
	p.method(&r)
	p.options(&r)
	if r.Method == "ldap" {
		p.finishLDAP(&r)
	}
	return r, true, p.err
}

// ruleParser takes fields in order. What went wrong first is kept.
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

// list takes a field of one or more tokens.
func (p *ruleParser) list(what string) []token {
	if len(p.rest) == 0 {
		p.fail("the %s is missing", what)
		return nil
	}
	field := p.rest[0]
	p.rest = p.rest[1:]
	return field
}

// one takes a field of exactly one token.
func (p *ruleParser) one(what string) token {
	field := p.list(what)
	if p.err == nil && len(field) != 1 {
		p.fail("there must be one %s", what)
	}
	if p.err != nil {
		return token{}
	}
	return field[0]
}

func (p *ruleParser) connection(r *Rule) {
	word := p.one("connection type")
	kind, known := connections[word.text]
	if !known {
		p.fail("unknown connection type %q: want local, host, hostssl or hostnossl", word.text)
	}
	r.kind = kind
}

// names takes database or user names. pgherd does not know which roles
// belong to which, so what depends on that is an error, never a rule that
// silently does not match: a reject would be lost.
func (p *ruleParser) names(what string, unsupported ...string) []token {
	names := p.list(what)
	for _, t := range names {
		for _, word := range unsupported {
			if t.is(word) {
				p.fail("%s %s is not supported: pgherd does not know who is a member of a role", what, word)
			}
		}
		if !t.quoted && strings.HasPrefix(t.text, "+") {
			p.fail("%s %q is not supported: pgherd does not know who is a member of a role", what, t.text)
		}
		if !t.quoted && strings.HasPrefix(t.text, "/") {
			p.fail("%s %q: regular expressions are not supported", what, t.text)
		}
	}
	return names
}

func (p *ruleParser) addresses() addresses {
	word := p.one("address")
	if word.is("all") || word.is("samehost") || word.is("samenet") {
		return addresses{word: word.text}
	}
	if prefix, err := netip.ParsePrefix(word.text); err == nil {
		return addresses{net: prefix.Masked()}
	}
	addr, err := netip.ParseAddr(word.text)
	switch {
	case p.err != nil:
	case err != nil && strings.Contains(word.text, "/"):
		p.fail("invalid address %q", word.text)
	case err != nil:
		p.fail("address %q: host names are not supported, write the IP address with its prefix length", word.text)
	default:
		return addresses{net: p.mask(addr)}
	}
	return addresses{}
}

// mask takes the netmask that stands in a field of its own.
func (p *ruleParser) mask(addr netip.Addr) netip.Prefix {
	word := p.one("netmask (or write the address as ADDRESS/LENGTH)")
	mask, err := netip.ParseAddr(word.text)
	if p.err != nil {
		return netip.Prefix{}
	}
	if err != nil || mask.Is4() != addr.Is4() {
		p.fail("invalid netmask %q", word.text)
		return netip.Prefix{}
	}
	ones, size := net.IPMask(mask.AsSlice()).Size()
	if size == 0 {
		p.fail("invalid netmask %q: its ones must come first", word.text)
		return netip.Prefix{}
	}
	return netip.PrefixFrom(addr, ones).Masked()
}

func (p *ruleParser) method(r *Rule) {
	r.Method = p.one("method").text
	_, known := methods[r.Method]
	switch {
	case p.err != nil || known:
	default:
		p.fail("unknown method %q: want trust, reject, password, md5, scram-sha-256, cert, pam or ldap", r.Method)
	}
	if r.Method == "pam" {
		p.startPAM(r)
	}
	if r.Method == "cert" {
		r.ClientCert = CertFull
		if r.kind != hostSSL {
			p.fail("method cert needs hostssl")
		}
	}
}
