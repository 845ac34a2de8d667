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
