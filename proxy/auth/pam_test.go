package auth

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// pamServices makes a folder of PAM services in the place of /etc/pam.d.
func pamServices(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	script := filepath.Join(dir, "judge.sh")
	// pam_exec passes the password with a zero byte at its end.
	write(t, script, "#!/bin/sh\n[ \"$(tr -d '\\0')\" = \"$PAM_USER-pencil\" ] && [ \"$PAM_RHOST\" = '[local]' ]\n", 0o755)
	for name, text := range map[string]string{
		"permit":  "auth required pam_permit.so\naccount required pam_permit.so\n",
		"deny":    "auth required pam_deny.so\naccount required pam_permit.so\n",
		"expired": "auth required pam_permit.so\naccount required pam_deny.so\n",
		"exec":    "auth required pam_exec.so quiet expose_authtok " + script + "\naccount required pam_permit.so\n",
		"broken":  "auth required pam_there_is_none_such.so\naccount required pam_permit.so\n",
		"pgpool":  "auth required pam_permit.so\naccount required pam_permit.so\n",
	} {
		write(t, filepath.Join(dir, name), text, 0o644)
	}
	pamConfigDir = dir
	t.Cleanup(func() { pamConfigDir = "" })
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func logInByPAM(t *testing.T, options, user, password string) (Grant, error) {
	hba, err := ParseHBA("local all all pam "+options, nil)
	if err != nil {
		t.Fatal(err)
	}
	policy := &Policy{HBA: hba, Passwd: testPasswd(t)}
	grant, err, _, _ := converse(t, func(conn io.ReadWriter) (Grant, error) {
		return policy.Check(t.Context(), conn, Peer{Local: true, User: user, Database: "db"})
	}, client(PlainSecret(user, password)))
	return grant, err
}

func TestPAM(t *testing.T) {
	pamServices(t)
	for _, c := range []struct{ options, user, password, code, reason string }{
		{"pamservice=permit", "u", "p", "", ""},
		{"pamservice=permit pam_use_hostname=1", "u", "p", "", ""},
		{"", "u", "p", "", ""},
		{"pamservice=permit", "u", "", "28P01", "empty password"},
		{"pamservice=deny", "u", "p", "28000", "pam_authenticate"},
		{"pamservice=expired", "u", "p", "28000", "pam_acct_mgmt"},
		{"pamservice=broken", "u", "p", "28000", "pam_authenticate"},
		{"pamservice=exec", "u", "u-pencil", "", ""},
		{"pamservice=exec", "u", "wrong", "28000", "pam_authenticate"},
		{"pamservice=exec", "$(id)", "$(id)-pencil", "", ""},
		{"pamservice=exec", "plain", "plain-pencil", "", ""},
	} {
		grant, err := logInByPAM(t, c.options, c.user, c.password)
		if codeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s as %s with %q: got error %v", c.options, c.user, c.password, err)
		}
		want := c.password
		if c.user == "plain" {
			want = "pencil" // the password in pool_passwd is for servers
		}
		if err == nil && (grant.Proof != Here || grant.Secret.Plain() != want) {
			t.Errorf("%s as %s: got proof %d", c.options, c.user, grant.Proof)
		}
	}
	if _, err := ParseHBA("local all all pam pam_use_hostname=maybe", nil); err == nil {
		t.Error("pam_use_hostname=maybe is accepted")
	}
}

// TestPAMFromManyThreads checks that each of many threads asks with its own password.
func TestPAMFromManyThreads(t *testing.T) {
	pamServices(t)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			user := fmt.Sprint("user", i)
			for _, password := range []string{user + "-pencil", "user-pencil"} {
				err := askPAM(&pamQuestion{service: "exec", user: user, password: password, remote: "[local]", configDir: pamConfigDir})
				if (err == nil) != (password == user+"-pencil") {
					t.Errorf("user %s with %s: got error %v", user, password, err)
				}
			}
		})
	}
	all.Wait()
}

// TestOutsideHangs checks that log-ins that wait for a hanging method end, while the method still counts for its limit.
func TestOutsideHangs(t *testing.T) {
	o, release := make(outside, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{})
	go func() {
		<-begun
		cancel()
	}()
	hang := func(context.Context, string) error {
		close(begun)
		<-release
		return nil
	}
	for range 2 { // the second log-in does not get a turn
		if err := o.judge(ctx, "p", hang); err == nil || !strings.Contains(err.Error(), "wait for") {
			t.Errorf("got error %v", err)
		}
	}
	close(release)
}
