package session

import (
	"fmt"
	"testing"
)

// TestLoss goes through every combination of what a lost server may leave. Rules that hold
// for all of them are checked, and so is each row of judge's table.
func TestLoss(t *testing.T) {
	for i := range 2 * 2 * 2 * 2 * 2 * 2 * 2 * 3 {
		bit := func(n int) bool { return i>>n&1 == 1 }
		l := loss{torn: bit(0), uncertain: bit(1), owed: bit(2), commits: bit(3), reads: bit(4), renews: bit(6), block: block(i >> 7)}
		if bit(5) {
			l.pin = "a temporary table"
		}
		again := l.block == noBlock || l.block == openBlock && l.renews
		v := l.judge()
		name := fmt.Sprintf("%+v: %v", l, v)
		ends := l.torn || l.uncertain || l.pin != ""
		switch {
		case ends != (v == breaks):
			t.Error(name, "- only what cannot go on ends")
		case ends:
		case l.owed && (v == survives || v == failsNext):
			t.Error(name, "- a client that waits gets no answer")
		case !l.owed && (v == repeats || v == failsNow || v == unknown):
			t.Error(name, "- an answer that nobody waits for")
		case v == repeats && (!l.reads || !again):
			t.Error(name, "- repeated, though it may have been done")
		case l.owed && (l.commits && v != repeats) != (v == unknown):
			t.Error(name, "- what may have been committed is unknown, and nothing else is")
		case !l.owed && (l.block == openBlock && !again) != (v == failsNext):
			t.Error(name, "- a transaction that is lost is told to be, once")
		}
	}
}
