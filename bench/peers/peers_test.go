package peers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgherd/bench/herd"
)

func TestFollowsPrepared(t *testing.T) {
	for version, want := range map[string]bool{"PgBouncer 1.18.0": false, "PgBouncer 1.20.1": false, "PgBouncer 1.21.0": true,
		"PgBouncer 1.25.0": true, "PgBouncer 2.0": true, "": false, "unknown": false} {
		if followsPrepared(version) != want {
			t.Errorf("%q: %v", version, !want)
		}
	}
}

// No peer has a larger pool than the others, and a pool mode means the same for all of them.
func TestSettingsAreAlike(t *testing.T) {
	node, certs := herd.Node{Host: "127.0.0.1", Port: 5432}, herd.Certs{Cert: "/c", Key: "/k"}
	plain, safe := Place{Node: node}, Place{Node: node, Certs: certs, Mode: Mode{TLS: true, Prepared: true}}
	for _, c := range []struct {
		name, text string
		with       []string
		without    string
	}{
		{"pgbouncer", pgbouncerFiles(plain, 1, false)["pgbouncer.ini"], []string{"pool_mode = transaction", "default_pool_size = 64"}, "tls"},
		{"pgbouncer, prepared", pgbouncerFiles(safe, 1, false)["pgbouncer.ini"],
			[]string{"pool_mode = session", "client_tls_sslmode = require", "server_tls_sslmode = require"}, "max_prepared"},
		{"newer pgbouncer", pgbouncerFiles(safe, 1, true)["pgbouncer.ini"], []string{"pool_mode = transaction", "max_prepared_statements"}, "session"},
		{"pgpool", pgpoolFiles(plain, "/d", 1)["pgpool.conf"], []string{"num_init_children = 72"}, "ssl"},
		{"pgpool, TLS", pgpoolFiles(safe, "/d", 1)["pgpool.conf"], []string{"ssl = on"}, "ssl = off"},
		{"pgherd", pgherdConfig, []string{"pool_mode = transaction", "default_pool_size = 64"}, "ssl"},
		{"haproxy", haproxyConfig(plain, 1), []string{"mode tcp"}, "http"},
	} {
		for _, want := range c.with {
			if !strings.Contains(c.text, want) {
				t.Errorf("%s lacks %q:\n%s", c.name, want, c.text)
			}
		}
		if strings.Contains(c.text, c.without) {
			t.Errorf("%s has %q:\n%s", c.name, c.without, c.text)
		}
	}
}

func TestGiven(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(file, []byte("4711\n/data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	peer, err := given("odyssey=127.0.0.1:6432=" + file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := peer.start(t.Context(), Place{})
	if err != nil || r.pid != 4711 || r.port != 6432 || r.host != "127.0.0.1" || peer.Name != "odyssey" {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "x", "x=127.0.0.1:1", "x=127.0.0.1=f", "x=127.0.0.1:many=f"} {
		if _, err := given(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestMore(t *testing.T) {
	peer, err := more("old=;workers = 1;io_engine = epoll", "/bin/true")
	if err != nil || peer.Name != "old" {
		t.Errorf("%+v, %v", peer, err)
	}
	for _, bad := range []string{"", "old", "=x"} {
		if _, err := more(bad, "/bin/true"); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestWhoTakesPart(t *testing.T) {
	crowd := Mode{Crowd: true}
	if direct("1").Cannot(crowd) == "" || direct("1").Cannot(Mode{TLS: true}) != "" || pgherd("p", "/bin/true", "").Cannot(crowd) != "" {
		t.Error("who may have a crowd?")
	}
	if one := balanced("/bin/true"); !one.Concerned(Mode{Prepared: true}) || one.Concerned(Mode{Prepared: true, TLS: true}) {
		t.Error("balanced reads are measured among small transactions, and only there")
	}
	if one := unstreamed("/bin/true"); !one.Concerned(Mode{Answers: true}) || one.Concerned(crowd) {
		t.Error("what is pgherd without streams for?")
	}
}
