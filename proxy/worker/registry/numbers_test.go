package registry

import "testing"

// TestNumbers: unique, positive, of no process, and found until they are given back.
func TestNumbers(t *testing.T) {
	var n Numbers
	none := func(uint32) bool { return false }
	at := Place{1, 7}
	for _, number := range []uint32{FirstNumber, LastNumber} {
		if got := n.Take(number, at, none); got != number {
			t.Errorf("%d was given as %d", number, got)
		}
	}
	if got := n.Take(LastNumber, Place{0, 9}, none); got != FirstNumber+1 {
		t.Errorf("behind the last free number comes %d", got)
	}
	if got := n.Take(FirstNumber+5, at, func(pid uint32) bool { return pid < FirstNumber+8 }); got != FirstNumber+8 {
		t.Errorf("%d is a process's", got)
	}
	if n.Swap(FirstNumber, LastNumber) || !n.Swap(FirstNumber, 4242) {
		t.Error("another's number was given, or none")
	}
	if got, ok := n.Find(4242); !ok || got != at {
		t.Errorf("4242 is %v, %v", got, ok)
	}
	if _, ok := n.Find(FirstNumber); ok {
		t.Error("it is still known by its first number")
	}
	if n.Give(4242); n.taken(4242) {
		t.Error("a number is not given back")
	}
	if int32(LastNumber) <= 0 {
		t.Error("PostgreSQL's process numbers are positive")
	}
}
