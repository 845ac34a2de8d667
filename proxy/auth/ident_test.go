package auth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/netip"
	"strings"
	"testing"
)

const testIdent = `
# map   system                 user
plain   bob                    robert
plain   "Ann Smith"            ann
plain   alice                  alice
mail    /^(.*)@example\.com$   \1
mail    /^root                 postgres
dn      "/CN=(\w+),OU=dba"     \1
long    one \
        uno
`

// parseIdent parses a text, which may name the files of the tests.
func parseIdent(text string) (*Ident, error) {
	return readIdent("ident", source{read: func(path string) (string, error) {
		if path == "ident" {
			return text, nil
		}
		return testInclude(path)
	}})
}

func TestIdentAllows(t *testing.T) {
	m, err := parseIdent(testIdent)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, system, user string
		want               bool
	}{
		{"", "bob", "bob", true}, {"", "bob", "robert", false}, {"", "Bob", "bob", false},
		{"plain", "bob", "robert", true}, {"plain", "bob", "bob", false}, // with a map the same name is not allowed by itself
		{"plain", "Ann Smith", "ann", true}, {"plain", "alice", "alice", true},
		{"mail", "zoe@example.com", "zoe", true}, {"mail", "zoe@example.com", "bob", false},
		{"mail", "zoe@example.comx", "zoe", false}, {"mail", "rootling", "postgres", true},
		{"mail", "@example.com", "", true}, // no user has an empty name
		{"dn", "CN=ann,OU=dba,O=x", "ann", true}, {"dn", "CN=ann,OU=web,O=x", "ann", false},
		{"long", "one", "uno", true}, {"missing", "bob", "bob", false},
	} {
		if got, err := m.allows(c.name, c.system, c.user, nil); got != c.want || err != nil {
			t.Errorf("%+v: allowed: %v, error %v", c, got, err)
		}
	}
	if got, _ := (*Ident)(nil).allows("x", "bob", "bob", nil); got {
		t.Error("a map is found that is not defined")
	}
}

func TestIdentErrors(t *testing.T) {
	for text, want := range map[string]string{
		"one two":      "ident:1: missing entry at end of line",
		"one":          "ident:1: missing entry at end of line",
		"a b,c d":      "ident:1: multiple values in ident field",
		"a /( d":       `ident:1: invalid regular expression "("`,
		"a b /(":       `ident:1: invalid regular expression "("`,
		`a /^x$ \1`:    `regular expression "^x$" has no subexpressions as requested by backreference in "\1"`,
		`a "b c`:       "missing entry at end of line: want map, system user, database user (a quote is not closed)",
		"a b c\n\na b": "ident:3: missing entry",
		"a @loop c":    `ident:1: loop:1: loop:1`,
		"include nix":  `ident:1: could not open file "nix": file does not exist`,
	} {
		if _, err := parseIdent(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", text, err, want)
		}
	}
	hba, err := ParseHBA("hostssl all all all cert map=other", nil)
	if err != nil {
		t.Fatal(err)
	}
	ident, _ := parseIdent(testIdent)
	if err := (&Policy{HBA: hba, Ident: ident}).Validate(); err == nil || !strings.Contains(err.Error(), `pool_hba.conf:1: map "other" is not in ident_file`) {
		t.Errorf("got error %v", err)
	}
}

// TestCertificateMaps checks certificates by name, by subject and by map.
func TestCertificateMaps(t *testing.T) {
	hba, err := ParseHBA("hostssl cn all all cert map=plain\nhostssl dn all all cert clientname=DN map=dn\n"+
		"hostssl full all all trust clientcert=verify-full clientname=DN\nhostssl cert all all cert", nil)
	if err != nil {
		t.Fatal(err)
	}
	ident, _ := parseIdent(testIdent)
	policy := &Policy{HBA: hba, Ident: ident}
	if err := policy.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		database, user, cn, dn, code string
	}{
		{"cn", "robert", "bob", "CN=bob", ""},
		{"cn", "bob", "bob", "CN=bob", "28000"},
		{"cn", "robert", "bob\x00x", "", "28000"},
		{"dn", "ann", "x", "CN=ann,OU=dba", ""},
		{"dn", "ann", "ann", "CN=ann,OU=web", "28000"},
		{"full", "CN=ann", "ann", "CN=ann", ""},
		{"full", "ann", "ann", "CN=ann", "28000"},
		{"cert", "ann", "ann", "CN=ann", ""},
		{"cert", "ann", "", "CN=ann", "28000"},
	} {
		_, err := policy.Check(t.Context(), nil, Peer{Addr: netip.MustParseAddr("10.0.0.1"), TLS: true, Certified: true,
			CommonName: c.cn, Subject: c.dn, User: c.user, Database: c.database})
		if codeOf(err) != c.code {
			t.Errorf("%+v: got error %v", c, err)
		}
	}
}

// TestSubjectDN compares subjects with what openssl x509 -nameopt RFC2253 prints.
func TestSubjectDN(t *testing.T) {
	oid := func(numbers ...int) asn1.ObjectIdentifier { return numbers }
	subject := pkix.RDNSequence{
		{{Type: oid(2, 5, 4, 6), Value: "DE"}},
		{{Type: oid(2, 5, 4, 10), Value: "Ex, \"Inc\" +<>;\\"}},
		{{Type: oid(2, 5, 4, 11), Value: "#dba "}, {Type: oid(2, 5, 4, 5), Value: "7"}},
		{{Type: oid(1, 2, 3, 4), Value: "odd"}},
		{{Type: oid(2, 5, 4, 3), Value: " Zo\u00eb=x"}},
	}
	der, err := asn1.Marshal(subject)
	if err != nil {
		t.Fatal(err)
	}
	const want = `CN=\ Zo\C3\AB=x,1.2.3.4=#13036F6464,OU=\#dba\ +serialNumber=7,O=Ex\, \"Inc\" \+\<\>\;\\,C=DE`
	if got := SubjectDN(&x509.Certificate{RawSubject: der}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if SubjectDN(&x509.Certificate{RawSubject: []byte("nonsense")}) != "" {
		t.Error("a malformed subject has a name")
	}
}

func FuzzParseIdent(f *testing.F) {
	f.Add(testIdent, "zoe@example.com", "zoe")
	f.Add(`m /((a*)*)*$ \1`, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "x")
	f.Fuzz(func(t *testing.T, text, system, user string) {
		m, err := parseIdent(text)
		if (m == nil) == (err == nil) {
			t.Fatalf("got maps %v, error %v", m, err)
		}
		if m == nil || m.has("mail") {
			return
		}
		if allowed, _ := m.allows("mail", system, user, nil); allowed {
			t.Fatal("the user is allowed by a map that is not defined")
		}
	})
}
