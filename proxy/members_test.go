package proxy

import (
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd/herdtest"
)

// TestRulesAskTheWorld checks rules for the members of a role, for which the primary is asked, and for a host by its
// name, for which the system's resolver is asked.
func TestRulesAskTheWorld(t *testing.T) {
	t.Parallel()
	h := herdtest.StartTLS(t, `
		CREATE ROLE dba; CREATE ROLE staff ROLE dba;
		CREATE ROLE ann LOGIN NOINHERIT IN ROLE dba; CREATE ROLE ben LOGIN; CREATE ROLE sue LOGIN SUPERUSER;
		CREATE ROLE zoe LOGIN IN ROLE dba; GRANT postgres TO ann`,
		"host all all 127.0.0.1/32 trust")
	hba := strings.Join([]string{
		"host app +dba nowhere.invalid trust", "host app zoe,+staff 127.0.0.0 255.255.255.0 reject # zoe, all of dba by staff",
		"host all postgres LOCALHOST trust", "host samerole all localhost trust", ""}, "\n")
	p := startProxy(t, h, map[string]string{"pool_hba.conf": hba, "pool_passwd": ""})
	const none, rejects = "no pool_hba.conf entry", "pool_hba.conf rejects"
	p.check([]loginCase{
		{"user=postgres dbname=app", "", false, "postgres"},
		{"user=ann dbname=postgres", "", false, "ann"},
		{"user=ann dbname=app", "", true, rejects}, // dba is a member of staff
		{"user=zoe dbname=app", "", true, rejects},
		{"user=ben dbname=app", "", true, none},
		{"user=ben dbname=postgres", "", true, none},
		{"user=sue dbname=app", "", true, none}, // being a superuser makes no member
		{"user=sue dbname=postgres", "", true, none},
		{"user=nobody dbname=app", "", true, none},
	})
	if out, err := p.psql("user=postgres dbname=app", "", "GRANT postgres TO ben"); err != nil {
		t.Fatal(err, out)
	}
	p.check([]loginCase{{"user=ben dbname=postgres", "", false, "ben"}}) // the GRANT went through pgherd
	if _, err := h.Exec(t.Context(), "REVOKE postgres FROM ben"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // an answer is used for a second
	p.check([]loginCase{{"user=ben dbname=postgres", "", true, none}})
	if log := p.logged(); !strings.Contains(log, "the client's host is") {
		t.Error("the log does not tell what the client's host is")
	}
}

// TestNobodyToAsk checks a configuration without a user for such questions: the file is accepted, and the log says what to set.
func TestNobodyToAsk(t *testing.T) {
	t.Parallel()
	h := herdtest.StartTLS(t, "CREATE ROLE dba", "host all all 127.0.0.1/32 trust")
	p := startProxy(t, h, map[string]string{"pool_passwd": "",
		"pool_hba.conf": "host app +dba all scram-sha-256\nhost app bob all trust\nhost postgres +dba all reject\nhost all all all trust\n"},
		"sr_check_user = ''")
	p.check([]loginCase{
		{"user=alice dbname=app", "", true, "it cannot be found out now which roles the user is a member of"},
		{"user=alice dbname=postgres", "", true, "it cannot be found out now which roles the user is a member of"},
	})
	for _, want := range []string{"pool_hba.conf:1: the line cannot match", "pool_hba.conf:3: log-ins that this line may be for are refused", "set auth_user, or sr_check_user"} {
		if !strings.Contains(p.logged(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}
