package failover

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// lost is a herd whose primary has failed, with the WAL that each standby had by then.
type lost struct {
	herd  Herd
	set   SyncSet
	has   map[int]uint64 // what each of the nodes 1 … has received
	poll  Poll
	acked uint64 // the highest position that the primary may have acknowledged
}

// lose makes a random one. A standby that is not in use streamed up to some moment before the primary's
// last answer, and not after it; the primary went on.
func lose(random *rand.Rand) lost {
	l := lost{has: map[int]uint64{}, poll: Poll{Answers: map[int]Answer{}}}
	standbys := 1 + random.IntN(4)
	l.herd = Herd{Epoch: 7, Phase: Electing, Primary: None, Former: 0, Candidate: None, Timeline: 3, System: system, Nodes: []Node{{Index: 0, Status: Down}}}
	last := uint64(100 + random.IntN(5)) // the primary's position when it last answered
	var at []uint64                      // positions of the synchronous set
	for n := 1; n <= standbys; n++ {
		member, out, answers := random.IntN(4) > 0, random.IntN(3) == 0, random.IntN(3) > 0
		status := Up
		l.has[n] = 100 + uint64(random.IntN(10))
		if out {
			status, l.has[n] = Down, min(l.has[n], last)
			l.herd.Absent = append(l.herd.Absent, n)
		} else {
			l.poll.Last.Connected = append(l.poll.Last.Connected, n)
		}
		l.herd.Nodes = append(l.herd.Nodes, Node{Index: n, Status: status})
		if member {
			l.set.Nodes = append(l.set.Nodes, n)
			at = append(at, l.has[n])
		}
		if answers {
			l.poll.Answers[n] = Answer{Revoked: true, System: system, Timeline: 3, Received: l.has[n], Replayed: l.has[n]}
		}
	}
	if len(at) > 0 {
		l.set.K = 1 + random.IntN(len(at))
		slices.Sort(at)
		l.acked = at[len(at)-l.set.K]
	}
	l.poll.Last.Received, l.poll.Last.Timeline = last, 3
	l.herd.Sync = l.set
	return l
}

// TestChooseLosesNothing checks that the node that is promoted has every commit that may have been
// acknowledged, and that one is promoted where enough have answered.
func TestChooseLosesNothing(t *testing.T) {
	promoted, refused := 0, 0
	for seed := range uint64(20_000) {
		l := lose(rand.New(rand.NewPCG(seed, 2)))
		c := Choose(l.herd, l.poll, Settings{})
		answered := 0
		for _, n := range l.set.Nodes {
			if _, ok := l.poll.Answers[n]; ok {
				answered++
			}
		}
		switch {
		case c.Node != None && l.has[c.Node] < l.acked:
			t.Fatalf("seed %d: node %d is promoted with position %d, but %d may have been acknowledged: %s\n%+v", seed, c.Node, l.has[c.Node], l.acked, c.Why, l)
		case c.Node != None && c.Position > l.has[c.Node]:
			t.Fatalf("seed %d: the proved position is %d, but the node has only %d", seed, c.Position, l.has[c.Node])
		case c.Node != None && l.set.K > 0 && c.Position < l.acked:
			t.Fatalf("seed %d: the proved position is %d, but %d may have been acknowledged", seed, c.Position, l.acked)
		case c.Node == None && l.set.K > 0 && answered >= len(l.set.Nodes)-l.set.K+1:
			t.Fatalf("seed %d: enough nodes have answered, but none is promoted: %s\n%+v", seed, c.Why, l)
		case c.Node == None && l.set.K == 0 && len(l.poll.Answers) > 0:
			t.Fatalf("seed %d: replication is asynchronous, but no node is promoted: %s", seed, c.Why)
		}
		if c.Node == None {
			refused++
		} else {
			promoted++
		}
		if allowed := Choose(l.herd, l.poll, Settings{AllowLoss: true}); allowed.Node == None && len(l.poll.Answers) > 0 {
			t.Fatalf("seed %d: loss is allowed, but no node is promoted: %s", seed, allowed.Why)
		}
	}
	if promoted < 1000 || refused < 1000 {
		t.Errorf("a node was promoted %d times, and none %d times, want at least 1000 of each", promoted, refused)
	}
}

// TestChooseMostOfAll checks that of several nodes that could be promoted the one with the most WAL is chosen.
func TestChooseMostOfAll(t *testing.T) {
	for seed := range uint64(5000) {
		l := lose(rand.New(rand.NewPCG(seed, 3)))
		c := Choose(l.herd, l.poll, Settings{Candidates: []int{2, 1, 3}})
		for n, a := range l.poll.Answers {
			if c.Node != None && a.Received > l.has[c.Node] {
				t.Fatalf("seed %d: node %d has more WAL than node %d, which is promoted", seed, n, c.Node)
			}
		}
	}
}

func TestPositionInWords(t *testing.T) {
	if got := lsn(0x16_B374D848); got != "16/B374D848" {
		t.Errorf("the position is written as %s", got)
	}
}

// TestSuffices tells whether one standby alone can acknowledge all commits, so that the others may receive from it.
func TestSuffices(t *testing.T) {
	for name, c := range map[string]struct {
		sync, before SyncSet
		want         bool
	}{
		"asynchronous":                           {want: true},
		"one of two, and it is one of them":      {sync: SyncSet{K: 1, Nodes: []int{1, 2}}, want: true},
		"FIRST 1, and it is the second":          {sync: SyncSet{First: true, K: 1, Nodes: []int{2, 1}}, want: true},
		"one of two, and it is none of them":     {sync: SyncSet{K: 1, Nodes: []int{2, 3}}},
		"two of two":                             {sync: SyncSet{K: 2, Nodes: []int{1, 2}}},
		"one of two, and it was two a while ago": {sync: SyncSet{K: 1, Nodes: []int{1, 2}}, before: SyncSet{K: 2, Nodes: []int{1, 2}}},
	} {
		h := Herd{Sync: c.sync, Before: []SyncSet{c.before}}
		if got := h.Suffices(1); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
