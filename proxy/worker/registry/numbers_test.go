package registry

import "testing"

// TestNumbers checks that numbers are unique and positive, that no process has them, and that they are
// found until they are given back.
func TestNumbers(t *testing.T) {
	var n Numbers
	none := func(uint32) bool { return false }
	at := Place{1, 7}
	for _, number := range []uint32{FirstNumber, LastNumber} {
		if got := n.Take(number, at, none); got != number {
			t.Errorf("Take(%d) gave %d", number, got)
		}
	}
	if got := n.Take(LastNumber, Place{0, 9}, none); got != FirstNumber+1 {
		t.Errorf("after the last free number comes %d, want the first free one", got)
	}
	if got := n.Take(FirstNumber+5, at, func(pid uint32) bool { return pid < FirstNumber+8 }); got != FirstNumber+8 {
		t.Errorf("Take gave %d, which a process has", got)
	}
	if n.Swap(FirstNumber, LastNumber) || !n.Swap(FirstNumber, 4242) {
		t.Error("Swap gave a number that is taken, or refused a free one")
	}
	if got, ok := n.Find(4242); !ok || got != at {
		t.Errorf("Find(4242) is %v, %v", got, ok)
	}
	if _, ok := n.Find(FirstNumber); ok {
		t.Error("the client is still found by its first number")
	}
	if n.Give(4242); n.taken(4242) {
		t.Error("a number is still taken after Give")
	}
	if int32(LastNumber) <= 0 {
		t.Error("LastNumber is not positive, as PostgreSQL's process numbers are")
	}
}
