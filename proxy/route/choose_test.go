package route

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgherd/proxy/nodes"
)

var byWeight = Policies["weight"]

// herd has node 0 as the primary, and standbys, with these weights.
func herd(weights ...float64) (all []Candidate) {
	for i, w := range weights {
		c := Candidate{Index: i, Role: nodes.Standby, Weight: w}
		if i == 0 {
			c.Role = nodes.Primary
		}
		all = append(all, c)
	}
	return all
}

// shares are the shares of many reads that go to each node.
func shares(t *testing.T, client Client, b *Balance, fresh func() []Candidate) []float64 {
	t.Helper()
	const reads = 10_000
	random := rand.New(rand.NewPCG(1, 2))
	got := make([]float64, len(fresh()))
	for range reads {
		c := Choose(fresh(), client, b, random.Float64(), random.Float64())
		if c.Index < 0 || c.Why == "" {
			t.Fatalf("no node was chosen: %+v", c)
		}
		got[c.Index] += 1.0 / reads
	}
	return got
}

// TestShares checks that reads follow the weights within 3 %, with preferences and without.
func TestShares(t *testing.T) {
	prefer := func(list string) []Preference {
		all, err := ParsePreferences(list)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	report := Client{Application: "report", Database: "app", User: "alice"}
	for name, c := range map[string]struct {
		balance Balance
		weights []float64
		want    []float64
	}{
		"alike":                     {Balance{}, []float64{1, 1, 1}, []float64{1. / 3, 1. / 3, 1. / 3}},
		"the primary has no weight": {Balance{}, []float64{0, 1, 3}, []float64{0, 0.25, 0.75}},
		"no node has a weight":      {Balance{}, []float64{0, 0, 0}, []float64{1, 0, 0}},
		"one node has a weight":     {Balance{}, []float64{0, 0, 5}, []float64{0, 0, 1}},
		"by application":            {Balance{Applications: prefer("other:1,rep.*:2")}, []float64{1, 1, 0}, []float64{0, 0, 1}},
		"the whole name":            {Balance{Applications: prefer("rep:2")}, []float64{1, 1, 0}, []float64{0.5, 0.5, 0}},
		"half of the reads":         {Balance{Applications: prefer("report:2(0.5)")}, []float64{1, 1, 0}, []float64{0.25, 0.25, 0.5}},
		"none of the reads":         {Balance{Applications: prefer("report:2(0)")}, []float64{1, 1, 0}, []float64{0.5, 0.5, 0}},
		"the first that matches":    {Balance{Applications: prefer("re.*:1,report:2")}, []float64{1, 1, 1}, []float64{0, 1, 0}},
		"application before others": {Balance{Applications: prefer("report:1"), Databases: prefer("app:2"), Users: prefer("alice:0")}, []float64{1, 1, 1}, []float64{0, 1, 0}},
		"database before user":      {Balance{Databases: prefer("app:2"), Users: prefer("alice:0")}, []float64{1, 1, 1}, []float64{0, 0, 1}},
		"user":                      {Balance{Users: prefer("a.*:primary")}, []float64{0, 1, 1}, []float64{1, 0, 0}},
		"standbys by weight":        {Balance{Users: prefer(".*:standby")}, []float64{5, 1, 3}, []float64{0, 0.25, 0.75}},
		"standbys without weight":   {Balance{Users: prefer(".*:standby")}, []float64{5, 0, 0}, []float64{0, 1, 0}},
		"a node that is not in use": {Balance{Users: prefer("alice:7")}, []float64{1, 1, 0}, []float64{0.5, 0.5, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			c.balance.Policy = byWeight
			got := shares(t, report, &c.balance, func() []Candidate { return herd(c.weights...) })
			for i := range c.want {
				if math.Abs(got[i]-c.want[i]) > 0.03 {
					t.Fatalf("got %.3f, want %.3f", got, c.want)
				}
			}
		})
	}
}

// TestDelay checks that the reads of a standby that is too far behind go to the primary, or to the
// standby with the least delay.
func TestDelay(t *testing.T) {
	ms := time.Millisecond
	for name, c := range map[string]struct {
		balance Balance
		bytes   []int64
		delays  []time.Duration
		weights []float64
		want    []float64
	}{
		"no limit":                 {Balance{}, []int64{0, 1 << 40, 0}, nil, []float64{0, 1, 1}, []float64{0, 0.5, 0.5}},
		"just within the limit":    {Balance{DelayBytes: 100}, []int64{0, 100, 0}, nil, []float64{0, 1, 1}, []float64{0, 0.5, 0.5}},
		"one is too far behind":    {Balance{DelayBytes: 100}, []int64{0, 101, 0}, nil, []float64{0, 1, 1}, []float64{0.5, 0, 0.5}},
		"by time, which counts":    {Balance{DelayBytes: 100, DelayTime: 5 * ms}, []int64{0, 101, 101}, []time.Duration{0, 6 * ms, 5 * ms}, []float64{0, 1, 1}, []float64{0.5, 0, 0.5}},
		"the other one is better":  {Balance{DelayBytes: 100, PreferLower: true}, []int64{0, 101, 50}, nil, []float64{0, 1, 1}, []float64{0, 0, 1}},
		"the least delay of all":   {Balance{DelayBytes: 100, PreferLower: true}, []int64{0, 101, 50, 40}, nil, []float64{0, 1, 0, 0.000001}, []float64{0, 0, 0, 1}},
		"all are too far behind":   {Balance{DelayBytes: 100, PreferLower: true}, []int64{0, 101, 102}, nil, []float64{0, 1, 1}, []float64{1, 0, 0}},
		"the primary has no delay": {Balance{DelayBytes: 100}, []int64{1000, 0, 0}, nil, []float64{1, 0, 0}, []float64{1, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			c.balance.Policy = byWeight
			got := shares(t, Client{}, &c.balance, func() []Candidate {
				all := herd(c.weights...)
				for i := range all {
					all[i].Bytes = c.bytes[i]
					if c.delays != nil {
						all[i].Delay = c.delays[i]
					}
				}
				return all
			})
			for i := range c.want {
				if math.Abs(got[i]-c.want[i]) > 0.03 {
					t.Fatalf("got %.3f, want %.3f", got, c.want)
				}
			}
		})
	}
}

// TestPolicies checks what each policy uses beside the weights.
func TestPolicies(t *testing.T) {
	busy := func(active ...int) []Candidate {
		all := herd(1, 1, 2)
		for i := range all {
			all[i].Active, all[i].Latency = active[i], time.Duration(active[i]+1)*time.Millisecond
		}
		return all
	}
	for _, c := range []struct {
		policy string
		active []int
		want   int
	}{
		{"least_active", []int{0, 1, 1}, 0},
		{"least_active", []int{2, 2, 3}, 2}, // it has more weight
		{"least_active", []int{1, 0, 4}, 1},
		{"lowest_latency", []int{0, 1, 1}, 0},
		{"lowest_latency", []int{1, 2, 1}, 2},
	} {
		for chance := 0.0; chance < 1; chance += 0.1 {
			got := Choose(busy(c.active...), Client{}, &Balance{Policy: Policies[c.policy]}, chance, 0)
			if got.Index != c.want {
				t.Errorf("%s among %v: got %+v, want node %d", c.policy, c.active, got, c.want)
			}
		}
	}
	alike := shares(t, Client{}, &Balance{Policy: Policies["least_active"]}, func() []Candidate { return busy(0, 0, 0) })
	if math.Abs(alike[2]-0.5) > 0.03 {
		t.Errorf("among equal nodes the weight decides: got %.3f", alike)
	}
}

// TestNobody checks herds without any node, and without a primary.
func TestNobody(t *testing.T) {
	b := &Balance{Policy: byWeight, DelayBytes: 1}
	for name, all := range map[string][]Candidate{
		"none":                     nil,
		"a late standby":           {{Index: 1, Role: nodes.Standby, Weight: 1, Bytes: 2}},
		"a standby with no weight": {{Index: 1, Role: nodes.Standby}},
	} {
		if c := Choose(all, Client{}, b, 0.5, 0.5); c.Index != -1 || c.Why == "" {
			t.Errorf("%s: got %+v", name, c)
		}
	}
}

func TestBadPreferences(t *testing.T) {
	for _, list := range []string{"x", "x:", ":1", "x:1(2)", "x:1(-1)", "x:secondary", "x:1(0.1.2)", "(:1", "a:1,b", "x:-1"} {
		if all, err := ParsePreferences(list); err == nil {
			t.Errorf("%q: got %+v", list, all)
		}
	}
	if all, err := ParsePreferences(" a : 1 , b:standby ( 0.3 ) ,"); err != nil || len(all) != 2 || all[1].Ratio != 0.3 {
		t.Errorf("got %+v, error %v", all, err)
	}
}

func TestChooseAllocatesNothing(t *testing.T) {
	b := &Balance{Policy: byWeight, DelayBytes: 100}
	b.Users, _ = ParsePreferences("alice:standby(0.5)")
	all := herd(0, 1, 2)
	if n := testing.AllocsPerRun(100, func() { Choose(all, Client{User: "alice"}, b, 0.7, 0.2) }); n > 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
