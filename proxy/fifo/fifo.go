// Package fifo has a first-in first-out queue that reuses its memory.
package fifo

// Queue is empty when declared. Push and Remove invalidate the pointers that it has returned.
type Queue[T any] struct {
	items []T
	first int
}

func (q *Queue[T]) Len() int { return len(q.items) - q.first }

// At returns a pointer to the i-th oldest element.
func (q *Queue[T]) At(i int) *T { return &q.items[q.first+i] }

// Last returns a pointer to the newest element.
func (q *Queue[T]) Last() *T { return &q.items[len(q.items)-1] }

func (q *Queue[T]) Push(v T) {
	if q.first > 0 && len(q.items) == cap(q.items) && q.first >= len(q.items)/2 {
		n := copy(q.items, q.items[q.first:])
		clear(q.items[n:])
		q.items, q.first = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

// Pop removes the oldest element.
func (q *Queue[T]) Pop() (v T) {
	v, q.items[q.first] = q.items[q.first], v
	q.first++
	if q.first == len(q.items) {
		q.items, q.first = q.items[:0], 0
	}
	return v
}

// Remove removes the i-th oldest element.
func (q *Queue[T]) Remove(i int) {
	copy(q.items[q.first+i:], q.items[q.first+i+1:])
	clear(q.items[len(q.items)-1:])
	q.items = q.items[:len(q.items)-1]
}

// Trim releases the memory of an empty queue that has had room for more than this many.
func (q *Queue[T]) Trim(most int) {
	if q.Len() == 0 && cap(q.items) > most {
		q.items, q.first = nil, 0
	}
}
