package pool

import (
	"testing"
	"time"

	"pgherd/proxy/wire"
)

func TestTimeout(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"5000": 5 * time.Second, "'5s'": 5 * time.Second, "0": 0, "'0'": 0, "' 2 min '": 2 * time.Minute, "1.5h": 90 * time.Minute,
		"'1d'": 24 * time.Hour, "500us": 500 * time.Microsecond, "250ms": 250 * time.Millisecond,
		"": 0, "''": 0, "default": 0, "5 weeks": 0, "-1": 0,
	} {
		if got := Timeout(value); got != want {
			t.Errorf("%q is read as %v, want %v", value, got, want)
		}
	}
}

// TestRestless checks that what a session has set takes precedence over what the log-in gave.
func TestRestless(t *testing.T) {
	s := &Server{}
	is := func(want bool) {
		t.Helper()
		if s.Restless() != want {
			t.Errorf("settings %v, timeouts of the log-in %v: restless: %v", s.Settings, s.Timeouts, !want)
		}
	}
	is(false)
	s.Settings = s.Settings.With(IdleSessionTimeout, "'1s'")
	is(true)
	s.Settings = s.Settings.Quiet()
	is(false)
	s.Timeouts.IdleSession = time.Second
	is(false)
	s.Settings = nil
	is(true)
}

func TestUntimed(t *testing.T) {
	const statement, both = "SET LOCAL statement_timeout = 0;", "SET LOCAL statement_timeout = 0;SET LOCAL transaction_timeout = 0;"
	for version, want := range map[string]string{"": statement, "13.23": statement, "16.14 (Debian 16.14-1)": statement, "9.6.24": statement,
		"17.0": both, "18beta1": both, "18.4 (Debian 18.4-1)": both, "100.1": both} {
		s := &Server{Params: []wire.Param{{Name: "server_version", Value: version}}}
		if got := s.Untimed(); got != want {
			t.Errorf("version %s: got %s, want %s", version, got, want)
		}
	}
}
