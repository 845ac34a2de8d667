package auth

import "strings"

// certDemands are the values of option clientcert, old and new.
var certDemands = map[string]CertDemand{"verify-ca": CertCA, "1": CertCA, "verify-full": CertFull, "no-verify": CertNone, "0": CertNone}

// option takes one option of a rule; it fails p if the value is wrong.
type option func(p *ruleParser, r *Rule, value string)

// options are those that every rule may have, and those of methods.
var (
	options = map[string]option{"clientcert": optionClientCert, "clientname": optionClientName}

	methodOptions = map[string]map[string]option{
		"pam":  pamOptionTable,
		"ldap": ldapOptionTable,
		"cert": {"map": func(_ *ruleParser, r *Rule, value string) { r.Map = value }},
	}
)

func (p *ruleParser) options(r *Rule) {
	for len(p.rest) > 0 {
		word := p.one("option")
		name, value, found := strings.Cut(word.text, "=")
		take := options[name]
		if take == nil {
			take = methodOptions[r.Method][name]
		}
		switch {
		case p.err != nil:
		case !found:
			p.fail("an option is not name=value (quote a value with blanks)") // its text may be half a password
		case take == nil:
			p.fail("unknown option %q of method %s", name, r.Method)
		default:
			take(p, r, value)
		}
	}
}

func optionClientCert(p *ruleParser, r *Rule, value string) {
	demand, known := certDemands[value]
	switch {
	case !known:
		p.fail("invalid value of clientcert: want verify-ca or verify-full")
	case r.kind != hostSSL:
		p.fail("option clientcert needs hostssl")
	case r.Method == "cert" && demand != CertFull:
		p.fail("method cert needs clientcert=verify-full")
	default:
		r.ClientCert = demand
	}
}

func optionClientName(p *ruleParser, r *Rule, value string) {
	switch {
	case r.kind != hostSSL:
		p.fail("option clientname needs hostssl")
	case value != "CN" && value != "DN":
		p.fail("invalid value of clientname: want CN or DN")
	default:
		r.ByDN = value == "DN"
	}
}
