package auth

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// fakeHosts is a fake name service: the name of each address, and the addresses of each name.
type fakeHosts struct {
	names map[string][]string
	addrs map[string][]string
	asked *[]string
}

func (f fakeHosts) note(what string) {
	if f.asked != nil {
		*f.asked = append(*f.asked, what)
	}
}

func (f fakeHosts) LookupAddr(_ context.Context, addr string) ([]string, error) {
	f.note(addr)
	if f.names[addr] == nil {
		return nil, errors.New("no such host")
	}
	return f.names[addr], nil
}

func (f fakeHosts) LookupNetIP(_ context.Context, _, host string) (addrs []netip.Addr, err error) {
	f.note(host)
	for _, a := range f.addrs[host] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if addrs == nil {
		err = errors.New("no such host")
	}
	return addrs, err
}

var testHosts = fakeHosts{
	names: map[string][]string{"10.0.0.1": {"app1.example.com.", "other.example.com."}, "10.0.0.2": {"APP2.Example.COM"},
		"10.0.0.3": {"liar.example.com."}, "10.0.0.4": {"gone.example.com."}, "10.0.0.5": {"badexample.com."},
		"10.0.0.6": {"example.com."}, "2001:db8::1": {"app1.example.com."}, "10.0.0.8": {"\u212aelvin.example.com."}},
	addrs: map[string][]string{"app1.example.com": {"10.9.9.9", "::ffff:10.0.0.1", "2001:db8::1"}, "APP2.Example.COM": {"10.0.0.2"},
		"liar.example.com": {"10.7.7.7"}, "badexample.com": {"10.0.0.5"}, "example.com": {"10.0.0.6"},
		"other.example.com": {"10.0.0.1"}, "\u212aelvin.example.com": {"10.0.0.8"}},
}

// TestHostNames checks that a host name of the file stands for a client if the client's address has
// that name, and the name has that address.
func TestHostNames(t *testing.T) {
	for _, c := range []struct {
		line, from string
		want       bool
		asked      string // names and addresses that are looked up, in this order
	}{
		{"host all all app1.example.com trust", "10.0.0.1", true, "10.0.0.1 app1.example.com"},
		{"host all all APP1.EXAMPLE.COM trust", "10.0.0.1", true, "10.0.0.1 app1.example.com"},
		{"host all all app1.example.com trust", "2001:db8::1", true, "2001:db8::1 app1.example.com"},
		{"host all all app2.example.com trust", "10.0.0.2", true, "10.0.0.2 APP2.Example.COM"},
		{"host all all .example.com trust", "10.0.0.1", true, "10.0.0.1 app1.example.com"},
		{"host all all .com trust", "10.0.0.2", true, "10.0.0.2 APP2.Example.COM"},
		{"host all all other.example.com trust", "10.0.0.1", false, "10.0.0.1"}, // only the first name counts
		{"host all all app1 trust", "10.0.0.1", false, "10.0.0.1"},
		{"host all all .example.com trust", "10.0.0.3", false, "10.0.0.3 liar.example.com"},
		{"host all all .example.com trust", "10.0.0.4", false, "10.0.0.4 gone.example.com"},
		{"host all all .example.com trust", "10.0.0.5", false, "10.0.0.5"},
		{"host all all .example.com trust", "10.0.0.6", false, "10.0.0.6"}, // a domain is not below itself
		{"host all all example.com trust", "10.0.0.6", true, "10.0.0.6 example.com"},
		{"host all all .example.com trust", "10.0.0.7", false, "10.0.0.7"},
		{"host all all kelvin.example.com trust", "10.0.0.8", false, "10.0.0.8"}, // U+212A is no K
		{`host all all "all" trust`, "10.0.0.1", false, "10.0.0.1"},              // quoted, it is a host of that name
		{`host all all "" trust`, "10.0.0.1", false, "10.0.0.1"},
		{"host all other app1.example.com trust", "10.0.0.1", false, ""}, // the name is not looked up in vain
		{"host other all app1.example.com trust", "10.0.0.1", false, ""},
		{"hostssl all all app1.example.com trust", "10.0.0.1", false, ""},
		{"host all all 10.0.0.1/32 trust\nhost all all app1.example.com trust", "10.0.0.1", true, ""},
		{"host all all 10.0.0.1 trust.example.com trust", "10.0.0.1", false, "error"},
		{"host all all app2.example.com trust\nhost all all .org trust\nhost all all .com trust", "10.0.0.1", true, "10.0.0.1 app1.example.com"}, // looked up once
		{"host all all .com trust\nhost all all .example.com trust", "10.0.0.3", false, "10.0.0.3 liar.example.com"},
	} {
		var asked []string
		hosts := testHosts
		hosts.asked = &asked
		hba, err := ParseHBA(c.line, nil)
		if err != nil {
			if c.asked != "error" {
				t.Errorf("%q: got error %v", c.line, err)
			}
			continue
		}
		s := &search{ctx: t.Context(), policy: &Policy{Resolver: hosts}, peer: &Peer{Addr: netip.MustParseAddr(c.from), User: "u", Database: "d"}}
		r, err := hba.match(s)
		if (r != nil) != c.want || err != nil || strings.Join(asked, " ") != c.asked {
			t.Errorf("%q from %s: matched: %v, error %v, looked up %q", c.line, c.from, r != nil, err, asked)
		}
	}
}

// TestHostIsLogged checks that the log, and not the answer, says why a name did not match.
func TestHostIsLogged(t *testing.T) {
	hba, _ := ParseHBA("host all all app2.example.com trust\nhost all all liar.example.com trust\nhost all bad .example.com reject", nil)
	policy := &Policy{HBA: hba, Resolver: testHosts}
	for from, want := range map[string]string{
		"10.0.0.7 u": "look up the name of the client's host: no such host",
		"10.0.0.3 u": `look up the address of host "liar.example.com": it is not the client's`,
		"10.0.0.6 u": `the client's host calls itself "example.com", which was not looked up`,
		"10.0.0.1 bad": `pool_hba.conf rejects host "10.0.0.1", user "bad", database "d", SSL off: ` +
			`the client's host is "app1.example.com"`,
	} {
		addr, user, _ := strings.Cut(from, " ")
		_, err := policy.Check(t.Context(), nil, Peer{Addr: netip.MustParseAddr(addr), User: user, Database: "d"})
		refusal, is := errors.AsType[*Refusal](err)
		if !is || !strings.Contains(err.Error(), want) || strings.Contains(refusal.Fault.Message, "the client's host") {
			t.Errorf("client at %s: got error %v", from, err)
		}
	}
}

// TestLoginEndsInLookUp checks that no client gets in because a look-up has outlasted the login.
func TestLoginEndsInLookUp(t *testing.T) {
	hba, _ := ParseHBA("host all all .example.com reject\nlocal all all trust\nhost all all all trust", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &search{ctx: ctx, policy: &Policy{Resolver: fakeHosts{}}, peer: &Peer{Addr: netip.MustParseAddr("10.0.0.1"), User: "u", Database: "d"}}
	if r, err := hba.match(s); r != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got rule %v, error %v", r, err)
	}
}
