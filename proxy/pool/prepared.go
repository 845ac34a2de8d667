package pool

import (
	"container/list"
	"strconv"
)

// Prepared is what a server has prepared for its sessions. It has one name for each
// distinct statement, so that sessions share the statement, and closes the least
// recently used when there are too many. Names begin with PreparedPrefix; names that
// clients choose never reach a server.
type Prepared struct {
	names  map[string]*list.Element // by statement
	recent *list.List               // of *PreparedStatement, the most recently used first
	next   uint64
	// Unnamed is the statement that the server's unnamed one holds, by the number that
	// its session has given it; 0 if there is none or it is not known.
	Unnamed uint64
	age     uint64 // how often all statements were forgotten
	swept   uint64 // how often a simple query of pgherd's own has destroyed the unnamed statement
}

// Sweep notes that a simple query destroys the unnamed statement.
func (p *Prepared) Sweep() {
	p.Unnamed = 0
	p.swept++
}

// Unnaming returns a function that notes that the unnamed statement is again what it is
// now, unless it was destroyed meanwhile.
func (p *Prepared) Unnaming() func() {
	before, swept := p.Unnamed, p.swept
	return func() {
		if p.Unnamed = before; p.swept != swept {
			p.Unnamed = 0
		}
	}
}

// PreparedStatement is one prepared statement of a server.
type PreparedStatement struct {
	Name     string
	By       uint64 // the statement by whose Parse it was prepared, as a session numbers its statements
	Shape    Shape  // as far as the server has told
	Outdated bool   // the server has said that its result has changed since
	key      string
}

// PreparedPrefix begins the names of prepared statements on servers.
const PreparedPrefix = "pgherd_"

// Find is the statement as the server has it; nil if it has none.
func (p *Prepared) Find(statement string) *PreparedStatement {
	if len(p.names) > 0 { // most often it is the latest one
		if latest := p.recent.Front().Value.(*PreparedStatement); latest.key == statement {
			return latest
		}
	}
	at, ok := p.names[statement]
	if !ok {
		return nil
	}
	p.recent.MoveToFront(at)
	return at.Value.(*PreparedStatement)
}

// Add notes that the statement is being prepared, in place of one that the server has.
// closed is a statement to close, because of that or because there are more than limit;
// nil if there is none. back undoes all of this: the statement could not be prepared
// (erred), or the server has read nothing of it.
func (p *Prepared) Add(statement string, limit int) (added, closed *PreparedStatement, back func(erred bool)) {
	if closed = p.Find(statement); closed == nil && len(p.names) >= limit && p.recent != nil {
		closed = p.recent.Back().Value.(*PreparedStatement)
	}
	if closed != nil {
		p.Remove(closed)
	}
	p.next++
	added = &PreparedStatement{Name: PreparedPrefix + strconv.FormatUint(p.next, 36), key: statement}
	p.put(added)
	age := p.age
	return added, closed, func(erred bool) {
		p.Remove(added)
		if !erred && closed != nil && p.age == age && p.names[closed.key] == nil {
			p.put(closed)
		}
	}
}

func (p *Prepared) put(s *PreparedStatement) {
	if p.names == nil {
		p.names, p.recent = map[string]*list.Element{}, list.New()
	}
	p.names[s.key] = p.recent.PushFront(s)
}

// Remove notes that the server no longer has the statement, unless it was replaced.
func (p *Prepared) Remove(s *PreparedStatement) {
	if at := p.names[s.key]; at != nil && at.Value == any(s) {
		p.recent.Remove(at)
		delete(p.names, s.key)
	}
}

// Names are the names under which statements are prepared.
func (p *Prepared) Names() (names []string) {
	for _, at := range p.names {
		names = append(names, at.Value.(*PreparedStatement).Name)
	}
	return names
}

// Len is how many are prepared.
func (p *Prepared) Len() int { return len(p.names) }

// Forget notes that the server has no statement any more, because it was reset.
func (p *Prepared) Forget() {
	*p = Prepared{next: p.next, swept: p.swept, age: p.age + 1}
}

// Aside forgets all statements, and returns a function that brings them back.
func (p *Prepared) Aside() (back func()) {
	before := *p
	p.Forget()
	return func() { p.names, p.recent, p.Unnamed = before.names, before.recent, before.Unnamed }
}
