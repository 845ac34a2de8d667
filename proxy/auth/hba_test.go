package auth

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const testHBA = `
# comment
local   all          all                                   trust
host    "all"        "weird ""name"""  127.0.0.1/32        reject
hostssl db1,db2      alice, bob        10.0.0.0/8          cert   # trailing comment
hostnossl sameuser   all               192.168.1.7 255.255.255.0 md5
host    replication  rep               all                 scram-sha-256
host    @dbs         @users            ::1/128             password
host    all          carol             samehost            trust
host    all          carol             samenet             md5
hostssl all \
        dave                           2001:db8::/32       trust clientcert=verify-ca
host    quoted       "all"             all                 trust
host    /^r[0-9]+$   "/^[xy],?$"       10.0.0.7 255.0.0.255 trust
host    gaps         all               10.0.0.7 255.0.0.255 trust
hostnogssenc nogss   all               all                 trust
hostgssenc   all     all               all                 trust
`

func testInclude(name string) (string, error) {
	switch name {
	case "dbs":
		return "one two # three\n\"four five\", six\n", nil
	case "users":
		return "eve @more\n", nil
	case "more":
		return "frank", nil
	case "loop":
		return "@loop", nil
	case "none":
		return "# nobody yet\n", nil
	case "wrong":
		return "local all all trust\nremote", nil
	}
	return "", fs.ErrNotExist
}

func TestHBAMatch(t *testing.T) {
	hba, err := ParseHBA(testHBA, testInclude)
	if err != nil {
		t.Fatal(err)
	}
	own := func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.9.8.7/24")} }
	for _, c := range []struct {
		from, user, database string
		tls, physical        bool
		line                 int // 0 if no rule matches
	}{
		{"", "anybody", "any", false, false, 3},
		{"", "rep", "", false, true, 0}, // "all" does not include replication
		{"127.0.0.1", `weird "name"`, "all", false, false, 4},
		{"127.0.0.1", `weird "name"`, "other", false, false, 0}, // quoted, "all" is a name
		{"10.1.2.3", "alice", "db1", true, false, 5},
		{"10.1.2.3", "bob", "db2", true, false, 5},
		{"10.1.2.3", "bob", "db2", false, false, 0},
		{"11.1.2.3", "bob", "db2", true, false, 0},
		{"192.168.1.200", "zoe", "zoe", false, false, 6},
		{"192.168.1.200", "zoe", "zoe", true, false, 0},
		{"192.168.1.200", "zoe", "other", false, false, 0},
		{"192.168.2.200", "zoe", "zoe", false, false, 0},
		{"1.2.3.4", "rep", "", true, true, 7},
		{"1.2.3.4", "rep", "replication", true, false, 0}, // the keyword replication is no database
		{"::1", "frank", "four five", false, false, 8},
		{"::1", "eve", "six", false, false, 8},
		{"::1", "eve", "three", false, false, 0},
		{"::2", "eve", "six", false, false, 0},
		{"10.9.8.7", "carol", "db", false, false, 9},
		{"10.9.8.6", "carol", "db", false, false, 10},
		{"10.9.7.6", "carol", "db", false, false, 0},
		{"2001:db8::9", "dave", "db", true, false, 11},
		{"1.2.3.4", "all", "quoted", false, false, 13},
		{"1.2.3.4", "other", "quoted", false, false, 0},
		{"10.1.2.7", "x", "r12", false, false, 14},
		{"10.1.2.7", "y,", "r12", false, false, 14},
		{"10.1.2.7", "z", "r12", false, false, 0},
		{"10.1.2.7", "x", "r12x", false, false, 0},
		{"10.1.2.7", "x", "gaps", false, false, 15},
		{"10.1.2.8", "x", "gaps", false, false, 0},
		{"11.1.2.7", "x", "gaps", false, false, 0},
		{"a00::7", "x", "gaps", false, false, 0}, // the address begins with the same bytes
		{"1.2.3.4", "x", "nogss", false, false, 16},
		{"1.2.3.4", "x", "", false, true, 0},
	} {
		peer := Peer{Local: c.from == "", User: c.user, Database: c.database, TLS: c.tls, Physical: c.physical, Own: own}
		if c.from != "" {
			peer.Addr = netip.MustParseAddr(c.from)
		}
		line := 0
		if r := matched(t, hba, &peer); r != nil {
			line = r.Line
		}
		if line != c.line {
			t.Errorf("%+v: got line %d", c, line)
		}
	}
}

// matched returns the rule for a client, of rules for which no other host is asked.
func matched(t *testing.T, hba *HBA, peer *Peer) *Rule {
	t.Helper()
	r, err := hba.match(&search{ctx: t.Context(), policy: &Policy{}, peer: peer})
	if err != nil {
		t.Errorf("%+v: got error %v", peer, err)
	}
	return r
}

func TestHBAErrors(t *testing.T) {
	for line, want := range map[string]string{
		"remote all all trust":                          `pool_hba.conf:1: invalid connection type "remote": want local, host`,
		"local,host all all trust":                      "multiple values specified for connection type",
		"local":                                         "end-of-line before database specification",
		"local all":                                     "end-of-line before role specification",
		"local all all":                                 "end-of-line before authentication method",
		"host all all":                                  "end-of-line before IP address specification",
		"host all all 10.0.0.1 trust":                   `invalid IP mask "trust"`,
		"host all all 10.0.0.1":                         "end-of-line before netmask specification",
		"host all all 10.0.0.1 ffff:: trust":            "IP address and mask do not match",
		"host all all 10.0.0.0/33 trust":                `invalid CIDR mask in address "10.0.0.0/33"`,
		"host all all db.example.org/8 trust":           `specifying both host name and CIDR mask is invalid: "db.example.org/8"`,
		"host all all db.example.org 255.0.0.0 trust":   `invalid authentication method "255.0.0.0"`,
		"host all all 10.0.0.1,10.0.0.2 trust":          "multiple values specified for host address",
		"local all all peer":                            `authentication method "peer" is not supported by pgherd: want trust, reject`,
		"local all all sesame":                          `invalid authentication method "sesame": want trust, reject`,
		"local all all trust,md5":                       "multiple values specified for authentication type",
		"host all all all cert":                         "cert authentication is only supported on hostssl connections",
		"host all all all md5 clientcert=verify-ca":     `clientcert can only be configured for "hostssl" rows`,
		"hostssl all all all md5 clientcert=perhaps":    `invalid value for clientcert: "perhaps"`,
		"hostssl all all all md5 map=x":                 `authentication option "map" is only valid for authentication methods cert`,
		"hostssl all all all md5 maps=x":                `unrecognized authentication option name: "maps"`,
		"hostssl all all all cert clientcert=verify-ca": `clientcert only accepts "verify-full"`,
		"hostssl all all all cert clientname=XN":        "want CN or DN",
		"host all all all md5 clientname=DN":            `clientname can only be configured for "hostssl" rows`,
		"local all all trust word":                      "not in name=value format",
		"local /( all trust":                            `invalid regular expression "("`,
		`local all "/a{2,1}" trust`:                     `invalid regular expression "a{2,1}"`,
		`local all "open trust`:                         "before authentication method (a quote is not closed)",
		"local @missing all trust":                      `pool_hba.conf:1: could not open file "missing": file does not exist`,
		"local @loop all trust":                         `could not open file "loop": maximum nesting depth exceeded`,
		"local @none all trust":                         "end-of-line before authentication method", // an empty file yields no field
		"include missing":                               `pool_hba.conf:1: could not open file "missing": file does not exist`,
		"include pool_hba.conf":                         `pool_hba.conf:1: could not open file "pool_hba.conf": maximum nesting depth`,
		"include one two":                               `invalid connection type "include"`,
		"include wrong":                                 `wrong:2: invalid connection type "remote"`,
		"":                                              "no entries",
		"# only a comment":                              "no entries",
		"local all all trust\nlocal all all ident\nx":   `pool_hba.conf:2: authentication method "ident"`, // errors of all lines are reported:
		"local all all trust\n\nlocal all all gss\nyy":  `pool_hba.conf:4: invalid connection type "yy"`,
		"local all all \\\ntrust\nzz":                   `pool_hba.conf:3: invalid connection type "zz"`,
	} {
		if _, err := ParseHBA(line, testInclude); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want %q", line, err, want)
		}
	}
}

func TestHBAMessages(t *testing.T) {
	hba, err := ParseHBA("host all bad all reject\nhost all good all trust", nil)
	if err != nil {
		t.Fatal(err)
	}
	policy := &Policy{HBA: hba}
	addr := netip.MustParseAddr("10.0.0.1")
	for _, c := range []struct {
		peer Peer
		want string
	}{
		{Peer{Addr: addr, User: "x", Database: "d"}, `no pool_hba.conf entry for host "10.0.0.1", user "x", database "d", SSL off`},
		{Peer{Addr: addr, User: "x", Database: "d", TLS: true}, `no pool_hba.conf entry for host "10.0.0.1", user "x", database "d", SSL on`},
		{Peer{Local: true, User: "x", Database: "d"}, `no pool_hba.conf entry for host "[local]", user "x", database "d", SSL off`},
		{Peer{Addr: addr, User: "x", Physical: true}, `no pool_hba.conf entry for replication connection from host "10.0.0.1", user "x", SSL off`},
		{Peer{Addr: addr, User: "bad", Database: "d"}, `pool_hba.conf rejects host "10.0.0.1", user "bad", database "d", SSL off`},
	} {
		_, err := policy.Check(t.Context(), nil, c.peer)
		if codeOf(err) != "28000" || err.Error() != c.want {
			t.Errorf("got error %v, want %s", err, c.want)
		}
	}
}

func TestLoadHBA(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "users"), []byte("alice\n"), 0o600)
	path := filepath.Join(dir, "pool_hba.conf")
	os.WriteFile(path, []byte("local all @users trust\n"), 0o600)
	hba, err := LoadHBA(path)
	if err != nil || matched(t, hba, &Peer{Local: true, User: "alice", Database: "d"}) == nil {
		t.Errorf("got error %v", err)
	}
	if _, err := LoadHBA(path + ".not"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: got error %v", err)
	}
}

func FuzzParseHBA(f *testing.F) {
	f.Add(testHBA)
	f.Add("local all all trust\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		hba, err := ParseHBA(text, testInclude)
		if (hba == nil) == (err == nil) {
			t.Fatalf("got rules %v, error %v", hba, err)
		}
		if hba != nil {
			policy := &Policy{Resolver: fakeHosts{}}
			for _, peer := range []*Peer{{Local: true}, {Addr: netip.MustParseAddr("10.0.0.1"), Own: func() []netip.Prefix { return nil }}} {
				peer.User, peer.Database = "u", "d"
				hba.match(&search{ctx: t.Context(), policy: policy, peer: peer})
			}
		}
	})
}
