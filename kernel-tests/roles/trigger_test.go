package roles_test

import (
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// loginTriggers are changes of an event trigger on log-ins, one after the other, with the result of a log-in.
var loginTriggers = []struct{ sql, fares string }{
	{"CREATE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN IF session_user = 'trusted' THEN RAISE 'not today' USING ERRCODE = '28000'; END IF; END$$; " +
		"CREATE EVENT TRIGGER guards ON login EXECUTE FUNCTION guard()", "refused"},
	{"ALTER EVENT TRIGGER guards DISABLE", "let in"},
	{"ALTER EVENT TRIGGER guards ENABLE ALWAYS", "refused"},
	{"CREATE OR REPLACE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$", "let in"},
	{"CREATE OR REPLACE FUNCTION guard() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'nobody' USING ERRCODE = '42501'; END$$", "refused"},
	{"DROP EVENT TRIGGER guards", "let in"},
}

// TestLoginTriggers checks that a client that a trigger on log-ins refuses without pgherd gets no idle server, either.
// PostgreSQL 17 and later have such triggers.
func TestLoginTriggers(t *testing.T) {
	each(t, unlike, func(t *testing.T, p *herd.Proxy) {
		aside := stay(t, primary(), herd.Superuser, "postgres")
		if herdtest.MustAsk(t, aside, "SELECT current_setting('server_version_num')::int < 170000") == "t" {
			t.Skip("PostgreSQL 17 and later have event triggers on log-ins")
		}
		mustPerform(t, aside, "DROP DATABASE IF EXISTS leased WITH (FORCE)", "CREATE DATABASE leased")
		reset(t, aside, "trusted")
		within := stay(t, primary(), herd.Superuser, "leased")
		for _, c := range loginTriggers {
			if conn, err := logIn(p.Port, "trusted", "leased"); err == nil { // its server is idle afterwards
				herdtest.MustAsk(t, conn, "SELECT 1")
				herdtest.Close(conn)
			}
			mustPerform(t, within, c.sql)
			time.Sleep(10 * time.Millisecond) // this is longer than login_check_period
			got, want := fares(p.Port, "trusted"), fares(primary(), "trusted")
			if refused := strings.HasPrefix(want, "refused:"); got != want || refused != (c.fares == "refused") {
				t.Errorf("%s: got %s, without pgherd %s, want %s", c.sql, got, want, c.fares)
			}
		}
		herdtest.Close(within)
	})
}
