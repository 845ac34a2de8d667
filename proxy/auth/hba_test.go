package auth

import (
	"errors"
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
	}
	return "", errors.New("no such file")
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
		line                 int // 0: no rule
	}{
		{"", "anybody", "any", false, false, 3},
		{"", "rep", "", false, true, 0}, // all is not replication
		{"127.0.0.1", `weird "name"`, "all", false, false, 4},
		{"127.0.0.1", `weird "name"`, "other", false, false, 0}, // quoted, all is a name
		{"10.1.2.3", "alice", "db1", true, false, 5},
		{"10.1.2.3", "bob", "db2", true, false, 5},
		{"10.1.2.3", "bob", "db2", false, false, 0},
		{"11.1.2.3", "bob", "db2", true, false, 0},
		{"192.168.1.200", "zoe", "zoe", false, false, 6},
		{"192.168.1.200", "zoe", "zoe", true, false, 0},
		{"192.168.1.200", "zoe", "other", false, false, 0},
		{"192.168.2.200", "zoe", "zoe", false, false, 0},
		{"1.2.3.4", "rep", "", true, true, 7},
		{"1.2.3.4", "rep", "replication", true, false, 0}, // the word is no database
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
	} {
		peer := Peer{Local: c.from == "", User: c.user, Database: c.database, TLS: c.tls, Physical: c.physical, Own: own}
		if c.from != "" {
			peer.Addr = netip.MustParseAddr(c.from)
		}
		line := 0
		if r := hba.Match(&peer); r != nil {
			line = r.Line
		}
		if line != c.line {
			t.Errorf("%+v: matched line %d", c, line)
		}
	}
}

func TestHBAErrors(t *testing.T) {
	for line, want := range map[string]string{
		"remote all all trust":                          `unknown connection type "remote"`,
		"hostgssenc all all all trust":                  "unknown connection type",
		"local,host all all trust":                      "one connection type",
		"local":                                         "the database is missing",
		"local all":                                     "the user is missing",
		"local all all":                                 "the method is missing",
		"host all all":                                  "the address is missing",
		"host all all 10.0.0.1 trust":                   `invalid netmask "trust"`,
		"host all all 10.0.0.1":                         "netmask",
		"host all all 10.0.0.1 255.0.255.0 trust":       "ones must come first",
		"host all all 10.0.0.1 ffff:: trust":            "invalid netmask",
		"host all all 10.0.0.0/33 trust":                "invalid address",
		"host all all db.example.org trust":             "host names are not supported",
		"host all all .example.org trust":               "host names are not supported",
		"host all all 10.0.0.1,10.0.0.2 trust":          "one address",
		"local all all peer":                            `unknown method "peer"`,
		"host all all all cert":                         "method cert needs hostssl",
		"host all all all md5 clientcert=verify-ca":     "clientcert needs hostssl",
		"hostssl all all all md5 clientcert=perhaps":    "invalid value of clientcert",
		"hostssl all all all md5 map=x":                 `unknown option "map" of method md5`,
		"hostssl all all all cert clientcert=verify-ca": "needs clientcert=verify-full",
		"hostssl all all all cert clientname=XN":        "want CN or DN",
		"host all all all md5 clientname=DN":            "clientname needs hostssl",
		"local all all trust word":                      "not name=value",
		"local samegroup all trust":                     "samegroup is not supported",
		"local all +admins trust":                       `"+admins" is not supported`,
		"local all /^a trust":                           "regular expressions are not supported",
		`local all "open trust`:                         "a quote is not closed",
		"local @missing all trust":                      "@missing: no such file",
		"local @loop all trust":                         "more than 10 deep",
		`local all all \`:                               "the file ends where the line goes on",
		"":                                              "no rule",
		"# only a comment":                              "no rule",
		"local all all trust\nlocal all all ident\nx":   "line 2", // and all of them:
		"local all all trust\n\nlocal all all gss\nyy":  `line 4: unknown connection type "yy"`,
	} {
		if _, err := ParseHBA(line, testInclude); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", line, err, want)
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
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestLoadHBA(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "users"), []byte("alice\n"), 0o600)
	path := filepath.Join(dir, "pool_hba.conf")
	os.WriteFile(path, []byte("local all @users trust\n"), 0o600)
	hba, err := LoadHBA(path)
	if err != nil || hba.Match(&Peer{Local: true, User: "alice", Database: "d"}) == nil {
		t.Errorf("%v", err)
	}
	if _, err := LoadHBA(path + ".not"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func FuzzParseHBA(f *testing.F) {
	f.Add(testHBA)
	f.Add("local all all trust\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		hba, err := ParseHBA(text, testInclude)
		if (hba == nil) == (err == nil) {
			t.Fatalf("%v, %v", hba, err)
		}
		if hba != nil {
			hba.Match(&Peer{Local: true, User: "u", Database: "d"})
		}
	})
}
