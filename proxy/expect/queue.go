package expect

// keptCapacity is what an empty queue may hold on to, in elements.
const keptCapacity = 32

// queue is a first-in first-out list that reuses its memory.
type queue[T any] struct {
	list  []T
	first int
}

func (q *queue[T]) len() int { return len(q.list) - q.first }

// at is the i-th oldest element.
func (q *queue[T]) at(i int) T { return q.list[q.first+i] }

// oldest is where the oldest element is.
func (q *queue[T]) oldest() *T { return &q.list[q.first] }

func (q *queue[T]) push(v T) {
	if q.first > 0 && len(q.list) == cap(q.list) && q.first >= len(q.list)/2 {
		n := copy(q.list, q.list[q.first:])
		clear(q.list[n:])
		q.list, q.first = q.list[:n], 0
	}
	q.list = append(q.list, v)
}

func (q *queue[T]) pop() (v T) {
	v, q.list[q.first] = q.list[q.first], v
	q.first++
	if q.len() == 0 {
		q.list, q.first = q.list[:0], 0
		if cap(q.list) > keptCapacity {
			q.list = nil
		}
	}
	return v
}

// remove takes out the i-th oldest element.
func (q *queue[T]) remove(i int) {
	copy(q.list[q.first+i:], q.list[q.first+i+1:])
	q.list = q.list[:len(q.list)-1]
}
