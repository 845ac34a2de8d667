package proxy

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/certs/certstest"
)

// TestLoginsOverTLS logs in by psql through pgherd to PostgreSQL, with channel binding to the
// certificates on both sides and no password stored, and by certificates with maps.
func TestLoginsOverTLS(t *testing.T) {
	t.Parallel()
	h := herdtest.StartTLS(t, "CREATE ROLE carol LOGIN PASSWORD 'carol-secret'; CREATE ROLE certain LOGIN",
		"hostssl all certain 127.0.0.1/32 trust", "hostssl all all 127.0.0.1/32 scram-sha-256")
	a := certstest.NewAuthority(t, "clients")
	a.Issue("localhost", x509.ExtKeyUsageServerAuth, "localhost")
	a.Issue("certain@example.com", x509.ExtKeyUsageClientAuth)
	a.Issue("stranger@example.org", x509.ExtKeyUsageClientAuth)
	p := startProxy(t, h, map[string]string{
		"pool_hba.conf": "hostssl all certain all cert map=mail\nhostssl all dn all cert clientname=DN\n" +
			"hostssl all all 127.0.0.1/32 scram-sha-256\n",
		"pool_ident.conf": `mail /^(.*)@example\.com$ \1`,
		"pool_passwd":     "",
	}, "ssl = on", "ssl_cert = "+a.Path("localhost.crt"), "ssl_key = "+a.Path("localhost.key"), "ssl_ca_cert = "+a.Path("ca.crt"),
		"auth_user = postgres", "auth_password = postgres", "ident_file = pool_ident.conf",
		"server_tls_sslmode = verify-full", "server_tls_ca_file = "+h.Certs.CA, "server_channel_binding = prefer")
	with := func(name string) string {
		return " sslcert=" + a.Path(name+".crt") + " sslkey=" + a.Path(name+".key")
	}
	const cert = "certificate authentication failed"
	p.check([]loginCase{
		{"user=carol dbname=app channel_binding=require sslmode=verify-ca sslrootcert=" + a.Path("ca.crt"), "carol-secret", false, "carol"},
		{"user=carol dbname=app channel_binding=require sslmode=require", "carol-secret", false, "carol"},
		{"user=carol dbname=app channel_binding=disable sslmode=require", "carol-secret", false, "carol"},
		{"user=carol dbname=app channel_binding=require sslmode=require", "wrong", true, "password authentication failed"},
		{"user=carol dbname=app sslmode=disable", "carol-secret", true, "no pool_hba.conf entry"},
		{"user=certain dbname=app sslmode=require" + with("certain@example.com"), "", false, "certain"},
		{"user=certain dbname=app sslmode=require" + with("stranger@example.org"), "", true, cert},
		{"user=certain dbname=app sslmode=require", "", true, "valid client certificate"},
		{"user=dn dbname=app sslmode=require" + with("certain@example.com"), "", true, cert},
	})
	// The secret learnt from the log-in opens servers again.
	p.psql("user=carol dbname=app sslmode=require", "carol-secret", "select pg_terminate_backend(pg_backend_pid())")
	p.check([]loginCase{{"user=carol dbname=app sslmode=require", "carol-secret", false, "carol"}})
	p.write("pgpool.conf", strings.ReplaceAll(p.read("pgpool.conf"), "server_channel_binding = prefer", "server_channel_binding = require"))
	if err := p.Reload(p.config()); err != nil {
		t.Fatal(err)
	}
	p.psql("user=carol dbname=app sslmode=require", "carol-secret", "select pg_terminate_backend(pg_backend_pid())")
	p.check([]loginCase{{"user=carol dbname=app sslmode=require channel_binding=require", "carol-secret", false, "carol"}})
}

// TestAuthQueryFails checks failures of auth_query, and other queries that may take the place of the default.
func TestAuthQueryFails(t *testing.T) {
	t.Parallel()
	h := herdtest.StartTLS(t, `CREATE ROLE carol LOGIN PASSWORD 'carol-secret'; CREATE ROLE asker LOGIN PASSWORD 'asker-secret';
		CREATE FUNCTION public.find(text) RETURNS TABLE (name name, password text) SECURITY DEFINER LANGUAGE sql AS
			'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1'`)
	p := startProxy(t, h, map[string]string{"pool_hba.conf": "host all all all scram-sha-256\n", "pool_passwd": "asker:TEXTasker-secret\n"},
		"auth_user = asker", "auth_dbname = app")
	conf := p.read("pgpool.conf")
	const away = "the user cannot be looked up in PostgreSQL now"
	for _, c := range []struct {
		lines string
		fails bool
		want  string
		log   string
	}{
		{"", true, away, "permission denied for table pg_authid"},
		{"auth_password = wrong-secret", true, away, "password authentication failed"},
		{"auth_dbname = nowhere", true, away, "does not exist"},
		{"auth_query = 'SELECT * FROM find($1)'", true, away, "function find(unknown) does not exist"},
		{"auth_query = 'SELECT $1::text'", true, away, "one row of user name and password"},
		{"auth_query = 'SELECT * FROM public.find(''postgres'') WHERE $1 <> '''''", true, away, "another user"},
		{"auth_query = 'SELECT * FROM public.find($1)'", false, "carol", ""},
	} {
		p.write("pgpool.conf", conf+c.lines+"\n")
		if err := p.Reload(p.config()); err != nil {
			t.Fatal(err)
		}
		p.check([]loginCase{{"user=carol dbname=app", "carol-secret", c.fails, c.want}})
		if !strings.Contains(p.logged(), c.log) {
			t.Errorf("%s: the log does not say %q", c.lines, c.log)
		}
	}
	// After a reload nothing is remembered, so the new password works at the first attempt.
	if _, err := h.Exec(t.Context(), "ALTER ROLE carol PASSWORD 'carol2-secret'"); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(p.config()); err != nil {
		t.Fatal(err)
	}
	p.check([]loginCase{{"user=carol dbname=app sslmode=disable", "carol2-secret", false, "carol"}})
	// Connections for auth_query do not outlive their configuration.
	p.write("pgpool.conf", conf+"auth_user = ''\n")
	if err := p.Reload(p.config()); err != nil {
		t.Fatal(err)
	}
	herdtest.Eventually(t, "connections for auth_query end", func() error {
		n, err := h.Exec(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgherd auth_query'")
		if err == nil && n != "0" {
			err = errors.New(n + " connections for auth_query are open")
		}
		return err
	})
}
