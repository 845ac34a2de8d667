package supervisor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/executor"
	"pgherd/proxy/failover"
	"pgherd/proxy/health"
)

// namesOf is a set with its names, which String omits.
func namesOf(s failover.SyncSet) string {
	return fmt.Sprintf("%v names %s nodes %v", s, strings.Join(s.Names, "|"), s.Nodes)
}

// TestSyncSet checks the forms of synchronous_standby_names that PostgreSQL's grammar has. Nodes 1 and
// 2 have the names s1 and "S 2"; of node 3 nothing is known.
func TestSyncSet(t *testing.T) {
	seen := []health.Seen{*primary(0, 3), *standby(1, 0, 3), *standby(2, 0, 3), *node(3, 0, 0)}
	seen[2].Receiver.Name = "S 2"
	streaming := []string{"s1", "pg_receivewal"}
	for names, want := range map[string]string{
		"":                              "asynchronous names  nodes []",
		"  \t\n":                        "asynchronous names  nodes []",
		"s1":                            "FIRST 1 of 1 names s1 nodes [1]",
		"S1":                            "FIRST 1 of 1 names s1 nodes [1]",
		`s1, "S 2"`:                     "FIRST 1 of 2 names s 2|s1 nodes [1 2]",
		"s1,nobody":                     "FIRST 1 of 2 names nobody|s1 nodes [1]",
		"2 (s1, s3, s4)":                "FIRST 2 of 3 names s1|s3|s4 nodes [1]",
		"2(s1,s3)":                      "FIRST 2 of 2 names s1|s3 nodes [1]",
		"FIRST 2 (s1, s3)":              "FIRST 2 of 2 names s1|s3 nodes [1]",
		"first 1\r\n\v\f(s1)":           "FIRST 1 of 1 names s1 nodes [1]",
		"ANY 2 (s1, s3, s4)":            "ANY 2 of 3 names s1|s3|s4 nodes [1]",
		`any 1("S 2",s1)`:               "ANY 1 of 2 names s 2|s1 nodes [1 2]",
		`"any"`:                         "FIRST 1 of 1 names any nodes []",
		`"first", s1`:                   "FIRST 1 of 2 names first|s1 nodes [1]",
		`"a ""b"" c"`:                   `FIRST 1 of 1 names a "b" c nodes []`,
		`"a,(b)"`:                       "FIRST 1 of 1 names a,(b) nodes []",
		"1":                             "FIRST 1 of 1 names 1 nodes []",
		"1, 2":                          "FIRST 1 of 2 names 1|2 nodes []",
		"1, s1":                         "FIRST 1 of 2 names 1|s1 nodes [1]",
		"2 (2, 3)":                      "FIRST 2 of 2 names 2|3 nodes []",
		"ANY 1 (s1, s1)":                "ANY 1 of 1 names s1 nodes [1]",
		"*":                             "FIRST 1 of 5 names node 0|node 3|pg_receivewal|s 2|s1 nodes [0 1 2 3]",
		`"*"`:                           "FIRST 1 of 5 names node 0|node 3|pg_receivewal|s 2|s1 nodes [0 1 2 3]",
		"ANY 1 (*)":                     "ANY 1 of 5 names node 0|node 3|pg_receivewal|s 2|s1 nodes [0 1 2 3]",
		"FIRST 2 (nobody, *)":           "FIRST 2 of 6 names nobody|node 0|node 3|pg_receivewal|s 2|s1 nodes [0 1 2 3]",
		`ANY 1 (s1, "an unended string`: "ANY 1 of 2 names an unended string|s1 nodes [1]",
	} {
		if got := namesOf(syncSet(names, seen, streaming)); got != want {
			t.Errorf("%q:\n got %s\nwant %s", names, got, want)
		}
	}
}

// FuzzSyncWords checks that any text is read to its end, and that a list written in PostgreSQL's form is read back as the same.
func FuzzSyncWords(f *testing.F) {
	for _, seed := range []string{"", "s1", `ANY 1 ("a ""b", s2)`, `"`, `"" ""`, "(,)", "2(é,*)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words := syncWords(text)
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, `"`+strings.ReplaceAll(w, `"`, `""`)+`"`)
		}
		again := syncWords("ANY 1 (" + strings.Join(quoted, ", ") + ")")
		if len(again) != len(words)+2 {
			t.Fatalf("%q: %q became %q", text, words, again)
		}
		if !slices.Equal(again[2:], words) {
			t.Fatalf("%q: %q became %q", text, words, again)
		}
		syncSet(text, nil, nil)
	})
}

// TestUpstream checks from which node a standby is configured to receive, and which standbys a primary has connected.
func TestUpstream(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *health.Seen)
		want   int
	}{
		"it streams":                    {func(*health.Seen) {}, 0},
		"configured, but not streaming": {func(s *health.Seen) { s.Receiver = health.Receiver{Conninfo: "host=10.0.0.1 port=5432"} }, 0},
		"without a port":                {func(s *health.Seen) { s.Receiver = health.Receiver{Conninfo: "host=10.0.0.1"} }, 0},
		"another port":                  {func(s *health.Seen) { s.Receiver = health.Receiver{Conninfo: "host=10.0.0.1 port=5433"} }, failover.Elsewhere},
		"hostaddr precedes host":        {func(s *health.Seen) { s.Receiver = health.Receiver{Conninfo: "host=x hostaddr=10.0.0.1"} }, 0},
		"a standby":                     {func(s *health.Seen) { s.Receiver.Host = hostOf(2) }, 2},
		"itself":                        {func(s *health.Seen) { s.Receiver = health.Receiver{Conninfo: "host=10.0.0.2"} }, failover.Elsewhere},
		"an unknown host":               {func(s *health.Seen) { s.Receiver.Host = "db.example" }, failover.Elsewhere},
		"an unknown host, but known to the primary": {func(s *health.Seen) { s.Receiver.Host, s.Receiver.Name = "db.example", "known" }, 0},
		"nobody": {func(s *health.Seen) { s.Receiver = health.Receiver{} }, failover.None},
		"it was revoked": {func(s *health.Seen) {
			s.Receiver = health.Receiver{Conninfo: "host=/pgherd/revoked port=5432 user=r"}
		}, failover.None},
	} {
		seen := []health.Seen{*primary(0, 3), *standby(1, 0, 3), *standby(2, 0, 3)}
		seen[0].Standbys = map[string]health.Standby{"known": {State: "streaming"}, "s2": {State: "catchup"}, "10.0.0.9": {State: "streaming"}, "s1": {}}
		c.change(&seen[1])
		if got := upstream(seen, &seen[1]); got != c.want {
			t.Errorf("%s: node %d, want %d", name, got, c.want)
		}
	}
	if !executor.Revoked("host=/pgherd/revoked") {
		t.Error("this test's form of a revoked primary_conninfo is not Revoke's")
	}
	seen := []health.Seen{*primary(0, 3), *standby(1, 0, 3), *standby(2, 0, 3), *standby(3, 0, 3), *node(4, 0, 0)}
	seen[0].Standbys = map[string]health.Standby{"s1": {State: "streaming"}, "s2": {}, hostOf(3): {State: "catchup"}, "": {State: "streaming"}}
	if got := connected(seen, &seen[0]); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("connected standbys are %v", got)
	}
}

func TestSameHost(t *testing.T) {
	for pair, want := range map[[2]string]bool{
		{"a", "a"}: true, {"", ""}: false, {"a", "b"}: false, {"10.0.0.1", "10.0.0.2"}: false, {"::1", "127.0.0.1"}: true,
		{"localhost", "127.0.0.1"}: true, {"fe80::1", "fe80:0:0::1"}: true, {"localhost", "10.0.0.1"}: false, {"/run", "/run"}: true,
	} {
		if got := sameHost(pair[0], pair[1]); got != want || got != sameHost(pair[1], pair[0]) {
			t.Errorf("%q: same host: %v", pair, got)
		}
	}
}

// TestSights checks which parts of a finding become a Sight, and how old that is.
func TestSights(t *testing.T) {
	now := time.Now()
	p, s, never := primary(0, 3), standby(1, 0, 3), node(2, 0, 0)
	p.At, s.At, never.Asked = now, now, false
	p.Course.Known, p.Course.Since = now.Add(-2*time.Second), now.Add(-time.Minute)
	s.Received, s.LSN = 5, 9 // the standby has replayed from an archive
	s.Receiver.Streaming, s.Course.StreamingSince = false, now.Add(-3*time.Second)
	p.Synchronous = "s1"
	got := sights([]health.Seen{*p, *s, *never}, time.Second, time.Hour, now, map[int]time.Time{})
	if len(got) != 2 {
		t.Errorf("sights are %v, want two", got)
	}
	if v := got[0]; v.Verdict != failover.IsPrimary || v.For != time.Minute || v.Heard != time.Hour-time.Second || v.Received != 1000 || v.Sync.K != 1 || v.Upstream != failover.None {
		t.Errorf("the primary's sight is %+v", v)
	}
	if v := got[1]; v.Received != 9 || v.Replayed != 9 || v.Streaming || v.StreamingFor != 3*time.Second {
		t.Errorf("the standby's sight is %+v", v)
	}
	if got = sights([]health.Seen{*p}, 0, time.Hour, now, map[int]time.Time{0: now}); len(got) != 0 {
		t.Errorf("a sight that is as old as the promotion counts: %v", got)
	}
	if got = sights([]health.Seen{*p}, 0, time.Hour, now.Add(-time.Hour), map[int]time.Time{}); got[0].Heard > time.Hour || got[0].For != 0 {
		t.Errorf("after the clock was set back the sight is %+v", got[0])
	}
}
