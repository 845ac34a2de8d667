package worker

import "testing"

// TestNumbers: unique, positive, of no process, and found until they are given back.
func TestNumbers(t *testing.T) {
	var n numbers
	none := func(uint32) bool { return false }
	at := place{1, 7}
	for _, number := range []uint32{firstNumber, lastNumber} {
		if got := n.take(number, at, none); got != number {
			t.Errorf("%d was given as %d", number, got)
		}
	}
	if got := n.take(lastNumber, place{0, 9}, none); got != firstNumber+1 {
		t.Errorf("behind the last free number comes %d", got)
	}
	if got := n.take(firstNumber+5, at, func(pid uint32) bool { return pid < firstNumber+8 }); got != firstNumber+8 {
		t.Errorf("%d is a process's", got)
	}
	if n.swap(firstNumber, lastNumber) || !n.swap(firstNumber, 4242) {
		t.Error("another's number was given, or none")
	}
	if got, ok := n.find(4242); !ok || got != at {
		t.Errorf("4242 is %v, %v", got, ok)
	}
	if _, ok := n.find(firstNumber); ok {
		t.Error("it is still known by its first number")
	}
	if n.give(4242); n.taken(4242) {
		t.Error("a number is not given back")
	}
	if int32(lastNumber) <= 0 {
		t.Error("PostgreSQL's process numbers are positive")
	}
}
