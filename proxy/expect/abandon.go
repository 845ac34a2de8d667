package expect

import (
	"slices"

	"pgherd/proxy/wire"
)

// Lost is a reply that will not come, because the server is lost.
type Lost struct {
	Request wire.Kind
	Whose   Disposition
	About   any
	Answer  Answer // of one of our own, or what the client was to be told by a Substitute
}

// Client says that the client waits for the reply. That to a request that is to be repeated
// comes with the repetition.
func (l *Lost) Client() bool {
	return l.Whose == Forward || l.Whose == Local || l.Whose == Substitute
}

// Copying says that the oldest request takes copy data, whose end was not sent.
func (e *List) Copying() bool { return e.copying }

// Abandon empties the list of a server that is lost: what was noted with its requests is
// taken back, as if the server had skipped them all. It returns what was owed, oldest first.
func (e *List) Abandon() (lost []Lost) {
	var undone []Undo
	for e.list.Len() > 0 {
		o := e.pop()
		l := Lost{Request: o.request, Whose: o.whose, About: o.about}
		if o.whose.ours() || o.whose == Substitute {
			l.Answer = e.take()
			if l.Answer.Undo != nil {
				o.undo = l.Answer.Undo
			}
		}
		if undone = append(undone, o.undo); o.request != wire.CopyDone && o.request != wire.CopyFail {
			lost = append(lost, l) // the others have no reply of their own
		}
	}
	for _, back := range slices.Backward(undone) {
		if back != nil {
			back(false)
		}
	}
	*e = List{list: e.list, locals: e.locals}
	return lost
}
