package config

import (
	"strings"
	"testing"
	"time"
)

// TestWith checks that a session's own values hold for that session and change nothing else.
func TestWith(t *testing.T) {
	c := parse(t, oneNode+"client_idle_limit = 10\nquery_timeout = 20\nsr_check_password = 'hush'\n")
	own, err := c.With(map[string]string{"CLIENT_IDLE_LIMIT": "1min", "log_statement": "yes"})
	if err != nil {
		t.Fatal(err)
	}
	if own.Timeouts.ClientIdle != time.Minute || own.Timeouts.Query != 20*time.Second || len(own.Nodes) != 1 {
		t.Errorf("the session's timeouts are %+v", own.Timeouts)
	}
	for name, want := range map[string]string{"client_idle_limit": "1min", "log_statement": "on", "query_timeout": "20s",
		"sr_check_password": Masked, "backend_hostname0": "db0"} {
		if s, ok := own.Show(name); !ok || s.Value != want {
			t.Errorf("%s is shown as %q, want %q", name, s.Value, want)
		}
	}
	if s, _ := c.Show("client_idle_limit"); s.Value != "10s" || c.Timeouts.ClientIdle != 10*time.Second {
		t.Errorf("the configuration itself was changed: %s", s.Value)
	}
	if ch := own.Diff(c); len(ch.Reload) != 2 || len(ch.Restart) != 0 {
		t.Errorf("the session's configuration differs in %v", ch)
	}
}

func TestWithRefuses(t *testing.T) {
	c := parse(t, oneNode)
	for name, row := range map[string][2]string{
		"a wrong value":    {"client_idle_limit", "soon"},
		"not a parameter":  {"client_idle", "1"},
		"set by a reload":  {"max_client_conn", "1"},
		"set at the start": {"port", "1"},
		"set for a node":   {"backend_weight0", "0"},
	} {
		if _, err := c.With(map[string]string{row[0]: row[1]}); err == nil || !strings.Contains(err.Error(), row[0]) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func TestNamed(t *testing.T) {
	for name, want := range map[string]string{
		"Port": "port", "delegate_IP": "delegate_ip", "backend_hostname": "backend_hostname", "BACKEND_HOSTNAME3": "backend_hostname3",
		"backend_hostname03": "", "backend_hostname128": "", "port1": "", "": "", "all": "",
	} {
		if _, own, ok := Named(name); ok != (want != "") || own != want {
			t.Errorf("%q is set to %q", name, own)
		}
	}
}

// TestSessionsSetNoIndex checks that what a session can set has one value, and not one for each
// node.
func TestSessionsSetNoIndex(t *testing.T) {
	for _, p := range table {
		if p.Context == Session && (p.Indexed() || p.Secret) || p.Process && p.Context != Session {
			t.Errorf("a session cannot set %s", p.Name)
		}
	}
}

func BenchmarkWith(b *testing.B) {
	c, _, err := Parse(files{"/p": oneNode}.open, "/p", CommandLine{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.With(map[string]string{"query_timeout": "5"}); err != nil {
			b.Fatal(err)
		}
	}
}
