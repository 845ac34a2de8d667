package pool

import (
	"slices"
	"testing"
	"time"

	"pgherd/proxy/wire"
)

var (
	alice = Target{Database: "app", User: "alice"}.On(0)
	bob   = Target{Database: "app", User: "bob"}.On(1)
	start = time.Unix(1_000_000_000, 0)
)

// shelved puts servers on a list of idle servers, one a second. The PID is the place in time.
func shelved(keys ...Key) (*IdleList, []*Server) {
	h, servers := NewIdleList(), []*Server{}
	for i, key := range keys {
		s := &Server{Key: key, PID: uint32(i)}
		h.Put(s, start.Add(time.Duration(i)*time.Second))
		servers = append(servers, s)
	}
	return h, servers
}

func TestShelfTakesTheMostRecentlyUsed(t *testing.T) {
	h, s := shelved(alice, bob, alice)
	if got := h.Oldest(alice); got != s[0] || h.Len() != 3 {
		t.Errorf("the oldest server is %v", got)
	}
	for i, want := range []*Server{s[2], s[0], nil} {
		if got := h.Take(alice); got != want {
			t.Errorf("take %d: got %v, want %v", i, got, want)
		}
	}
	if h.Len() != 1 || h.Has(s[0]) || !h.Has(s[1]) || h.Oldest(alice) != nil {
		t.Errorf("%d servers are left", h.Len())
	}
	other := bob.Target()
	other.Params = "x"
	if h.Take(other.On(bob.Node)) != nil {
		t.Error("a server with other start-up parameters was given")
	}
}

func TestShelfRemove(t *testing.T) {
	h, s := shelved(alice, alice, alice)
	if !h.Remove(s[1]) || h.Remove(s[1]) || h.Remove(&Server{Key: bob}) || h.Len() != 2 {
		t.Errorf("%d servers are left", h.Len())
	}
	if h.Take(alice) != s[2] || h.Take(alice) != s[0] || h.Len() != 0 || len(h.Due(start, start)) != 0 || len(h.servers) != 0 {
		t.Error("the other servers are not in order, or the list still has an empty pool")
	}
}

func TestShelfDue(t *testing.T) {
	h, s := shelved(alice, bob, alice, bob)
	s[3].Expires = start.Add(time.Minute)
	due := func(now, idleSince time.Time) (pids []uint32) {
		for _, d := range h.Due(now, idleSince) {
			pids = append(pids, d.PID)
		}
		return pids
	}
	for name, c := range map[string]struct {
		now, since time.Time
		want       []uint32
	}{
		"no rule":                       {start, time.Time{}, nil},
		"idle too long":                 {start, start.Add(2 * time.Second), []uint32{0, 1}},
		"idle just so long":             {start, start, nil},
		"at the end of the lifetime":    {start.Add(time.Minute), time.Time{}, nil},
		"after the end of the lifetime": {start.Add(time.Minute + 1), time.Time{}, []uint32{3}},
		"both, oldest first":            {start.Add(time.Hour), start.Add(time.Second), []uint32{0, 3}},
		"everything is too old":         {start.Add(time.Hour), start.Add(time.Hour), []uint32{0, 1, 2, 3}},
	} {
		if got := due(c.now, c.since); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if h.Len() != 4 {
		t.Error("the look has removed a server")
	}
}

// TestParams checks that a change makes a new list, because lists are shared between servers,
// templates and clients.
func TestParams(t *testing.T) {
	shared := []wire.Param{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}
	s := &Server{Params: shared}
	s.SetParam("b", "3")
	s.SetParam("c", "4")
	if Param(s.Params, "a") != "1" || Param(s.Params, "b") != "3" || Param(s.Params, "c") != "4" || Param(s.Params, "d") != "" {
		t.Errorf("the parameters are %v", s.Params)
	}
	if shared[1].Value != "2" || len(shared) != 2 {
		t.Errorf("the list shared with other servers has changed: %v", shared)
	}
}
