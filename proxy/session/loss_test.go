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
			t.Error(name, "- want the session to end exactly if it is torn, uncertain or pinned")
		case ends:
		case l.owed && (v == survives || v == failsNext):
			t.Error(name, "- the client waits for an answer and gets none")
		case !l.owed && (v == repeats || v == failsNow || v == unknown):
			t.Error(name, "- the client gets an answer for which it does not wait")
		case v == repeats && (!l.reads || !again):
			t.Error(name, "- the request is repeated, though it may already have taken effect")
		case l.owed && (l.commits && v != repeats) != (v == unknown):
			t.Error(name, "- want the outcome unknown exactly if it may have been committed")
		case !l.owed && (l.block == openBlock && !again) != (v == failsNext):
			t.Error(name, "- want the next request to fail exactly if an open transaction was lost")
		}
	}
}
