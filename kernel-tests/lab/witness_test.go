package lab

import (
	"testing"
	"time"
)

// TestWitness has two members and a witness. One of the two is killed: the other one holds the addresses, by the witness's
// promise.
func TestWitness(t *testing.T) {
	c := newCluster(t)
	c.kill(3)
	c.starts(3, "-member.witness")
	holder := c.holder(3)
	stop := c.watch(four)
	time.Sleep(200 * time.Millisecond) // it is seen to answer
	at := boottime()
	c.kill(holder)
	next := c.holder(3, holder)
	t.Logf("host %d answers after %v", next, (boottime() - at).Round(time.Millisecond))
	time.Sleep(300 * time.Millisecond)
	c.neverTwo(stop())
}

// TestSiteWithWitness has two pgherds and a witness lose what they may lose: clients write on, and nothing that was acknowledged
// is lost.
func TestSiteWithWitness(t *testing.T) {
	for name, does := range map[string]func(s *site, leader int){
		"the leader is killed":  func(s *site, leader int) { s.slay(leader) },
		"the primary is killed": func(s *site, _ int) { s.must(s.nodes.Slay(0)) },
		"both are killed at once": func(s *site, leader int) {
			s.slay(leader)
			s.must(s.nodes.Slay(0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSiteWith(t, 3, "wd_witnesses = '2'\nenable_consensus_with_half_votes = on\n")
			leader := s.leader()
			if leader == s.witness {
				t.Fatal("the witness leads")
			}
			l := s.keepsWriting()
			l.writesOn(50)
			does(s, leader)
			l.writesOn(50) // some of them may have been on their way
			l.writesOn(50)
			l.end()
		})
	}
}
