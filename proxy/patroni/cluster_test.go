package patroni

import (
	"reflect"
	"testing"

	"pgherd/proxy/failover"
)

// pair are the nodes of the answers below.
var pair = []Node{{Index: 0, Host: "10.0.0.1", Port: 5432}, {Index: 1, Host: "10.0.0.2", Port: 5432}}

// What versions of Patroni answer.
const (
	version2 = `{"members": [{"name": "pg1", "role": "leader", "state": "running", "api_url": "http://10.0.0.1:8008/patroni", "host": "10.0.0.1", "port": 5432, "timeline": 5},
		{"name": "pg2", "role": "replica", "state": "running", "api_url": "http://10.0.0.2:8008/patroni", "host": "10.0.0.2", "port": 5432, "timeline": 5, "lag": 0}]}`
	version3 = `{"members": [{"name": "pg1", "role": "sync_standby", "state": "streaming", "api_url": "http://10.0.0.1:8008/patroni", "host": "10.0.0.1", "port": 5432, "timeline": 6, "lag": 16777216, "tags": {"clonefrom": true}},
		{"name": "pg2", "role": "leader", "state": "running", "api_url": "https://10.0.0.2:8008/patroni", "host": "10.0.0.2", "port": 5432, "timeline": 6, "pending_restart": true}], "scope": "batman", "pause": true}`
	version4 = `{"members": [{"name": "pg1", "role": "quorum_standby", "state": "in archive recovery", "api_url": "http://10.0.0.1:8008/patroni", "host": "10.0.0.1", "port": 5432, "timeline": 7,
		"receive_lsn": "0/4000000", "receive_lag": 0, "replay_lsn": "unknown", "replay_lag": "unknown", "lsn": "unknown", "lag": "unknown"},
		{"name": "pg2", "role": "promoted", "state": "running", "api_url": "http://10.0.0.2:8008/patroni", "host": "10.0.0.2", "port": 5432, "timeline": 7}],
		"scheduled_switchover": {"at": "2026-11-30T22:00:00+00:00", "from": "pg2", "to": "pg1"}, "scope": "batman"}`
	// These are of Patroni 3.0.2, as it answered during a switchover, after a loss of its leader, and when all members but the leader had expired.
	stopping = `{"members": [{"name": "pg1", "role": "leader", "state": "stopping", "api_url": "http://10.0.0.1:8008/patroni", "host": "10.0.0.1", "port": 5432},
		{"name": "pg2", "role": "sync_standby", "state": "running", "api_url": "http://10.0.0.2:8008/patroni", "host": "10.0.0.2", "port": 5432, "timeline": 1, "lag": 0}]}`
	promoting = `{"members": [{"name": "pg1", "role": "replica", "state": "stopping", "api_url": "http://10.0.0.1:8008/patroni", "host": "10.0.0.1", "port": 5432, "lag": "unknown"},
		{"name": "pg2", "role": "leader", "state": "running", "api_url": "http://10.0.0.2:8008/patroni", "host": "10.0.0.2", "port": 5432, "timeline": 1}]}`
	creating = `{"members": [{"name": "pg1", "role": "replica", "state": "creating replica", "api_url": "http://10.0.0.1:8008/patroni", "host": "10.0.0.1", "port": 5432, "lag": "unknown"},
		{"name": "pg2", "role": "leader", "state": "restarting", "api_url": "http://10.0.0.2:8008/patroni", "host": "10.0.0.2", "port": 5432}]}`
	expired    = `{"members": [{"name": "pg2", "role": "sync_standby", "state": "running", "api_url": "http://10.0.0.2:8008/patroni", "host": "10.0.0.2", "port": 5432, "timeline": 2, "lag": 0}], "pause": true}`
	noLeader   = `{"members": [{"name": "pg1", "role": "replica", "state": "stopped", "host": "10.0.0.1", "port": 5432}, {"name": "pg2", "role": "replica", "state": "streaming", "host": "10.0.0.2", "port": 5432, "timeline": 5, "lag": "unknown"}]}`
	standbys   = `{"members": [{"name": "pg1", "role": "standby_leader", "state": "streaming", "host": "10.0.0.1", "port": 5432, "timeline": 3}, {"name": "pg2", "role": "replica", "state": "streaming", "host": "10.0.0.2", "timeline": 3}]}`
	stranger   = `{"members": [{"name": "pg2", "role": "replica", "state": "streaming", "host": "10.0.0.2", "port": 5432, "timeline": 5}, {"name": "pg3", "role": "leader", "state": "running", "host": "10.0.0.3", "port": 5432, "timeline": 5}]}`
	crashed    = `{"members": [{"name": "pg1", "role": "leader", "state": "crashed", "api_url": "http://10.0.0.1:8008/patroni"}]}`
	otherPorts = `{"members": [{"name": "pg1", "role": "leader", "state": "running", "host": "10.0.0.1", "port": 5433, "timeline": 5}]}`
	nobody     = `{"members": []}`
)

func TestReport(t *testing.T) {
	named := []Node{{Index: 0, Host: "db0", Port: 5432, Member: "pg1"}, {Index: 1, Host: "db1", Port: 5432, Member: "pg2"}}
	for name, c := range map[string]struct {
		text  string
		nodes []Node
		want  failover.Report
	}{
		"Patroni 2":        {version2, pair, failover.Report{Leader: 0, Name: "pg1", Timeline: 5}},
		"Patroni 3":        {version3, pair, failover.Report{Leader: 1, Name: "pg2", Timeline: 6, Paused: true}},
		"Patroni 4":        {version4, pair, failover.Report{Leader: 1, Name: "pg2", Timeline: 7}},
		"the leader stops": {stopping, pair, failover.Report{Leader: 0, Name: "pg1"}},
		"the next one has the lock, and no timeline of its own yet": {promoting, pair, failover.Report{Leader: 1, Name: "pg2", Timeline: 1}},
		"the leader restarts":               {creating, pair, failover.Report{Leader: 1, Name: "pg2"}},
		"the leader has expired in a pause": {expired, pair, failover.Report{Leader: failover.None, Timeline: 2, Paused: true}},
		"by name":                           {version3, named, failover.Report{Leader: 1, Name: "pg2", Timeline: 6, Paused: true}},
		"no leader":                         {noLeader, pair, failover.Report{Leader: failover.None, Timeline: 5}},
		"a standby cluster":                 {standbys, pair, failover.Report{Leader: failover.None, Name: "pg1", Timeline: 3}},
		"a leader that is no node":          {stranger, pair, failover.Report{Leader: failover.Elsewhere, Name: "pg3", Timeline: 5}},
		"another port":                      {otherPorts, pair, failover.Report{Leader: failover.Elsewhere, Name: "pg1", Timeline: 5}},
		"crashed, without address":          {crashed, named, failover.Report{Leader: 0, Name: "pg1"}},
		"no member at all":                  {nobody, pair, failover.Report{Leader: failover.None}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if r := got.report(c.nodes); r != c.want {
				t.Errorf("got %+v, want %+v", r, c.want)
			}
		})
	}
}

func TestMember(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		node int
		want Member
	}{
		"Patroni 2":        {version2, 0, Member{"pg1", "leader", "running", "10.0.0.1", 5432, 5, ""}},
		"lag":              {version3, 0, Member{"pg1", "sync_standby", "streaming", "10.0.0.1", 5432, 6, "16777216"}},
		"a new copy":       {creating, 0, Member{"pg1", "replica", "creating replica", "10.0.0.1", 5432, 0, "unknown"}},
		"unknown lag":      {version4, 0, Member{"pg1", "quorum_standby", "in archive recovery", "10.0.0.1", 5432, 7, "unknown"}},
		"the default port": {standbys, 1, Member{"pg2", "replica", "streaming", "10.0.0.2", 0, 3, ""}},
	} {
		got, err := parse([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if m, err := got.member(&pair[c.node]); err != nil || *m != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, m, err, c.want)
		}
	}
	for _, n := range []Node{{Host: "10.0.0.3", Port: 5432}, {Host: "10.0.0.1", Port: 5433}, {Host: "10.0.0.1", Port: 5432, Member: "pg9"}} {
		got, err := parse([]byte(version2))
		if err != nil {
			t.Fatal(err)
		}
		if m, err := got.member(&n); err == nil {
			t.Errorf("%+v is taken for %+v", n, m)
		}
	}
}

func TestStrangers(t *testing.T) {
	got, err := parse([]byte(stranger))
	if names := got.strangers(pair); err != nil || !reflect.DeepEqual(names, []string{"pg3"}) {
		t.Errorf("got %v, %v", names, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "{}", "[]", "null", "<html>", `{"members": 1}`, `{"state": "running", "role": "master"}`, version2[:90]} {
		if c, err := parse([]byte(text)); err == nil {
			t.Errorf("%.40q is taken for %+v", text, c)
		}
	}
}

// FuzzParse: whatever is answered, nothing breaks, and no node leads that is not among the members.
func FuzzParse(f *testing.F) {
	for _, text := range []string{version2, version3, version4, noLeader, standbys, stranger, crashed, nobody} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parse(text)
		if err != nil {
			return
		}
		if r := c.report(pair); r.Leader >= 0 {
			if _, err := c.member(&pair[r.Leader]); err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
		}
	})
}
