package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// fakeLDAP knows some entries by their DN, with a password and a uid each. It implements only the requests that
// pgherd sends (RFC 4511).
type fakeLDAP struct {
	addr  string
	cert  *tls.Config
	roots *x509.CertPool
	hang  chan struct{} // if not nil, a bind is answered only after it is closed
}

var ldapEntries = []struct{ dn, uid, password string }{
	{"cn=search,dc=x", "", "finder"},
	{"uid=alice,ou=people,dc=x", "alice", "pencil"},
	{"uid=bob,ou=people,dc=x", "bob", "eraser"},
	{"uid=twin,ou=a,dc=x", "twin", "pencil"},
	{"uid=twin,ou=b,dc=x", "twin", "pencil"},
	{"uid=*,ou=people,dc=x", "*", "star"},
	{"alice@corp", "", "pencil"},
}

func startLDAP(t *testing.T, fromTLS bool) *fakeLDAP {
	t.Helper()
	f := &fakeLDAP{}
	f.makeCert(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	if fromTLS {
		l = tls.NewListener(l, f.cert)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(conn)
		}
	}()
	return f
}

func (f *fakeLDAP) makeCert(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ldap"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	f.roots = x509.NewCertPool()
	f.roots.AddCert(leaf)
	f.cert = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (f *fakeLDAP) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	for {
		p, err := ber.ReadPacket(conn)
		if err != nil || len(p.Children) < 2 {
			return
		}
		id, op := p.Children[0].Value.(int64), p.Children[1]
		switch int(op.Tag) {
		case ldap.ApplicationBindRequest:
			if f.hang != nil {
				<-f.hang
			}
			reply(conn, id, ldap.ApplicationBindResponse, f.bind(op))
		case ldap.ApplicationSearchRequest:
			f.search(conn, id, op)
		case ldap.ApplicationExtendedRequest:
			reply(conn, id, ldap.ApplicationExtendedResponse, ldap.LDAPResultSuccess)
			conn = tls.Server(conn, f.cert)
		default:
			return
		}
	}
}

func (f *fakeLDAP) bind(op *ber.Packet) int {
	dn, password := op.Children[1].Value.(string), op.Children[2].Data.String()
	for _, e := range ldapEntries {
		if e.dn == dn && e.password == password {
			return ldap.LDAPResultSuccess
		}
	}
	if dn == "" && password == "" || password == "" { // an anonymous bind is accepted from every client
		return ldap.LDAPResultSuccess
	}
	return ldap.LDAPResultInvalidCredentials
}

func (f *fakeLDAP) search(conn io.Writer, id int64, op *ber.Packet) {
	filter, err := ldap.DecompileFilter(op.Children[6])
	if err != nil || op.Children[0].Value.(string) != "dc=x" {
		reply(conn, id, ldap.ApplicationSearchResultDone, ldap.LDAPResultNoSuchObject)
		return
	}
	for _, e := range ldapEntries {
		if e.uid != "" && (filter == "(uid="+ldap.EscapeFilter(e.uid)+")" || filter == "(|(uid="+ldap.EscapeFilter(e.uid)+")(mail="+ldap.EscapeFilter(e.uid)+"))") {
			entry := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationSearchResultEntry, nil, "")
			entry.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, e.dn, ""))
			entry.AppendChild(ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, ""))
			send(conn, id, entry)
		}
	}
	reply(conn, id, ldap.ApplicationSearchResultDone, ldap.LDAPResultSuccess)
}

func reply(conn io.Writer, id int64, tag ber.Tag, code int) {
	result := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	result.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	result.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	result.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	send(conn, id, result)
}

func send(conn io.Writer, id int64, op *ber.Packet) {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	p.AppendChild(op)
	conn.Write(p.Bytes())
}

// logIn logs in by a rule with these options, in which %s is the server and %p its port.
func (f *fakeLDAP) logIn(t *testing.T, options, user, password string) (Grant, error) {
	t.Helper()
	host, port, _ := net.SplitHostPort(f.addr)
	options = strings.NewReplacer("%s", host, "%p", port).Replace(options)
	hba, err := ParseHBA("local all all ldap "+options, nil)
	if err != nil {
		t.Fatal(err)
	}
	hba.Rules[0].ldap.roots = f.roots
	policy := &Policy{HBA: hba, Passwd: testPasswd(t)}
	grant, err, _, _ := converse(t, func(conn io.ReadWriter) (Grant, error) {
		return policy.Check(t.Context(), conn, Peer{Local: true, User: user, Database: "db"})
	}, client(PlainSecret(user, password)))
	return grant, err
}

func TestLDAP(t *testing.T) {
	plainly, overTLS := startLDAP(t, false), startLDAP(t, true)
	const (
		simple = `ldapserver=%s ldapport=%p ldapprefix="uid=" ldapsuffix=",ou=people,dc=x"`
		search = `ldapserver=%s ldapport=%p ldapbasedn="dc=x" ldapbinddn="cn=search,dc=x" ldapbindpasswd=finder`
		denied = `LDAP authentication failed for user`
		away   = "LDAP authentication is not possible now"
	)
	for _, c := range []struct {
		server                  *fakeLDAP
		options, user, password string
		want                    string // "" if the user gets in
	}{
		{plainly, simple, "alice", "pencil", ""},
		{plainly, simple, "alice", "wrong", denied},
		{plainly, simple, "nobody", "pencil", denied},
		{plainly, simple, "alice", "", "empty password"},
		{plainly, `ldapserver=%s ldapport=%p ldapsuffix="@corp"`, "alice", "pencil", ""},
		{plainly, simple + " ldaptls=1", "alice", "pencil", ""},
		{overTLS, simple + " ldapscheme=ldaps", "alice", "pencil", ""},
		{overTLS, simple + " ldapscheme=ldaps", "alice", "wrong", denied},
		{overTLS, simple, "alice", "pencil", away},
		{plainly, search, "alice", "pencil", ""},
		{plainly, search, "alice", "eraser", denied},
		{plainly, search, "nobody", "pencil", denied},
		{plainly, search, "twin", "pencil", denied}, // two entries match
		{plainly, search, "*", "pencil", denied},    // * is a name here, not a pattern
		{plainly, search, "*", "star", ""},
		{plainly, search, "x)(uid=alice", "pencil", denied},
		{plainly, search + " ldapsearchattribute=mail", "alice", "pencil", denied},
		{plainly, search + ` ldapsearchfilter="(|(uid=$username)(mail=$username))"`, "bob", "eraser", ""},
		{plainly, `ldapserver=%s ldapport=%p ldapbasedn="dc=x"`, "alice", "pencil", ""},
		{plainly, `ldapserver=%s ldapport=%p ldapbasedn="dc=x" ldapbinddn="cn=search,dc=x" ldapbindpasswd=wrong`, "alice", "pencil", away},
		{plainly, `ldapserver=%s ldapport=%p ldapbasedn="dc=elsewhere"`, "alice", "pencil", away},
		{plainly, `ldapurl="ldap://%s:%p/dc=x?uid?sub"`, "bob", "eraser", ""},
		{overTLS, `ldapurl="ldaps://%s:%p/dc=x??sub?(uid=$username)"`, "bob", "eraser", ""},
		{plainly, `ldapserver="127.0.0.2 %s" ldapport=%p ldapsuffix="@corp"`, "alice", "pencil", ""}, // the first server is down
	} {
		grant, err := c.server.logIn(t, c.options, c.user, c.password)
		switch {
		case c.want == "" && (err != nil || grant.Proof != Here || grant.Secret.Plain() != c.password):
			t.Errorf("%s as %s with %q: got error %v", c.options, c.user, c.password, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s as %s with %q: got error %v, want %s", c.options, c.user, c.password, err, c.want)
		case err != nil && (strings.Contains(err.Error(), "pencil") || strings.Contains(err.Error(), "finder")):
			t.Errorf("a password is in the error %v", err)
		}
	}
	if _, err := plainly.logIn(t, `ldapserver=%s ldapport=1 ldapsuffix="@corp"`, "alice", "pencil"); codeOf(err) != "57P03" {
		t.Errorf("no server answers: got error %v", err)
	}
	grant, err := plainly.logIn(t, `ldapserver=%s ldapport=%p ldapbasedn="dc=x"`, "twin", "pencil")
	if err == nil {
		t.Errorf("the grant is %v", grant)
	}
}

// TestLDAPHangs checks that a login ends in time and leaves no connection behind.
func TestLDAPHangs(t *testing.T) {
	f := startLDAP(t, false)
	f.hang = make(chan struct{})
	defer close(f.hang)
	host, port, _ := net.SplitHostPort(f.addr)
	hba, err := ParseHBA(fmt.Sprintf(`local all all ldap ldapserver=%s ldapport=%s ldapsuffix="@corp"`, host, port), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = ldapPlaces.judge(ctx, "pencil", func(ctx context.Context, password string) error {
		return hba.Rules[0].ldap.judge(ctx, "alice", password)
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v", err)
	}
	for until := time.Now().Add(10 * time.Second); len(ldapPlaces) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("a log-in that has ended still counts for the limit")
		}
	}
}

func TestLDAPOptions(t *testing.T) {
	for options, want := range map[string]string{
		"":                                       "needs ldapserver or ldapurl",
		"ldapserver=x":                           "needs ldapbasedn, ldapprefix or ldapsuffix",
		"ldapprefix=x":                           "needs ldapserver",
		"ldapserver=x ldapprefix=a ldapbasedn=b": "do not go with options for a search",
		"ldapserver=x ldapbasedn=b ldapsearchattribute=a ldapsearchfilter=(uid=$username)": "does not go with ldapsearchfilter",
		"ldapserver=x ldapbasedn=b ldapsearchfilter=uid=x)":                                "filter is invalid",
		"ldapserver=x ldapsuffix=b ldapport=no":                                            "invalid value of ldapport",
		"ldapserver=x ldapsuffix=b ldapscheme=http":                                        "want ldap or ldaps",
		"ldapserver=x ldapsuffix=b ldaptls=2":                                              "want 0 or 1",
		"ldapserver=x ldapsuffix=b ldaptls=1 ldapscheme=ldaps":                             "does not go with ldaps",
		"ldapurl=http://x/y":                                                               "invalid value of ldapurl",
		"ldapurl=ldap://me:hush@x/y":                                                       "set ldapbinddn",
		"ldapurl=ldap://x/y?uid?all":                                                       "invalid scope",
		"ldapurl=ldap://x/y?uid?sub?(uid=$username)?z":                                     "attribute?scope?filter",
		"ldapserver=x ldapsuffix=b ldapbindpasswd=my hush":                                 "quote a value with blanks",
		"pamservice=x": `"pamservice" is only valid for authentication methods pam`,
	} {
		_, err := ParseHBA("local all all ldap "+options, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: got error %v, want %s", options, err, want)
		}
	}
}

// TestWarnings checks that there is a warning where passwords may travel in clear text.
func TestWarnings(t *testing.T) {
	hba, err := ParseHBA("local all all password\nhostssl all all all password\nhost all all 127.0.0.0/8 password\n"+
		"host all all ::1/128 password\nhost all all all scram-sha-256\nhost all all 10.0.0.0/8 password\n"+
		`hostnossl all all all ldap ldapserver=x ldapsuffix=y`, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := (&Policy{HBA: hba}).Warnings(false)
	if len(got) != 2 || !strings.Contains(got[0], "pool_hba.conf:6: method password") || !strings.Contains(got[1], "pool_hba.conf:7: method ldap") {
		t.Errorf("got warnings %q", got)
	}
	if (&Policy{}).Warnings(false) != nil || !matched(t, hba, &Peer{Addr: netip.MustParseAddr("::1"), User: "u", Database: "d"}).from.isLoopback() {
		t.Error("there is a warning without rules, or for ::1, which is loopback")
	}
}
