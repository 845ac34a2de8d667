package auth

// certDemands are the values of option clientcert, old and new.
var certDemands = map[string]CertDemand{"verify-ca": CertCA, "1": CertCA, "verify-full": CertFull, "no-verify": CertNone, "0": CertNone}

// option reads one option of a rule; it fails p if the value is wrong.
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

func optionClientCert(p *ruleParser, r *Rule, value string) {
	demand, known := certDemands[value]
	switch {
	case !known:
		p.fail("invalid value for clientcert: %q: want verify-ca or verify-full", value)
	case r.kind != hostSSL:
		p.fail("clientcert can only be configured for \"hostssl\" rows")
	case r.Method == "cert" && demand != CertFull:
		p.fail("clientcert only accepts \"verify-full\" when using \"cert\" authentication")
	default:
		r.ClientCert = demand
	}
}

func optionClientName(p *ruleParser, r *Rule, value string) {
	switch {
	case r.kind != hostSSL:
		p.fail("clientname can only be configured for \"hostssl\" rows")
	case value != "CN" && value != "DN":
		p.fail("invalid value for clientname: %q: want CN or DN", value)
	default:
		r.ByDN = value == "DN"
	}
}
