package fifo

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestQueue compares a queue with a plain list, and checks that the queue no longer refers to what was taken.
func TestQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var q Queue[*int]
	var want []*int
	for i := range 20_000 {
		switch random.IntN(8) {
		case 0, 1, 2, 3:
			q.Push(&i)
			want = append(want, &i)
		case 4, 5, 6:
			if len(want) > 0 {
				if got := q.Pop(); got != want[0] {
					t.Fatalf("step %d: the element taken is not the oldest", i)
				}
				want = want[1:]
			}
		case 7:
			if len(want) > 0 {
				n := random.IntN(len(want))
				q.Remove(n)
				want = slices.Delete(slices.Clone(want), n, n+1)
			}
		}
		check(t, i, &q, want)
	}
}

func check(t *testing.T, step int, q *Queue[*int], want []*int) {
	t.Helper()
	if q.Len() != len(want) || len(want) > 0 && *q.Last() != want[len(want)-1] {
		t.Fatalf("step %d: the queue has %d elements, want %d, or its last one differs", step, q.Len(), len(want))
	}
	held := 0
	for i, v := range want {
		if *q.At(i) != v {
			t.Fatalf("step %d: element %d differs", step, i)
		}
	}
	for _, v := range q.items[:cap(q.items)] {
		if v != nil {
			held++
		}
	}
	if held != len(want) {
		t.Fatalf("step %d: the array has %d elements, the queue %d", step, held, len(want))
	}
}

// TestMemory checks that a queue whose elements come and go needs memory only for the most that it has held.
func TestMemory(t *testing.T) {
	var q Queue[int]
	q.Push(0)
	q.Push(0)
	if n := testing.AllocsPerRun(100, func() { q.Push(0); q.Pop() }); n != 0 {
		t.Errorf("got %v allocations per element, want none", n)
	}
	for range 1000 {
		q.Push(0)
		q.Pop()
	}
	if cap(q.items) > 8 {
		t.Errorf("the queue has room for %d elements, but held three at most", cap(q.items))
	}
}

func TestTrim(t *testing.T) {
	var q Queue[int]
	for range 100 {
		q.Push(0)
	}
	q.Trim(32)
	for range 100 {
		if q.items == nil {
			t.Fatal("the queue is trimmed while it has elements")
		}
		q.Pop()
	}
	if q.Trim(cap(q.items)); q.items == nil {
		t.Error("the queue is trimmed though its memory is within the limit")
	}
	if q.Trim(32); q.items != nil {
		t.Error("the queue is not trimmed")
	}
}
