package pool

import (
	"container/list"
	"strconv"
)

// Prepared is what a server has prepared for its sessions: one name per
// distinct statement, so that sessions share it, the least recently used
// closed when there are too many. Names begin with PreparedPrefix; names that
// clients choose never reach a server.
type Prepared struct {
	names  map[string]*list.Element // by statement
	recent list.List                // of prepared, the most recently used first
	next   uint64
	// Unnamed is the statement that the server's unnamed one holds, as a
	// session knows it; "" for none or nobody knows.
	Unnamed string
	swept   uint64 // how often a simple query of pgherd's own has destroyed it
}

// Sweep notes that a simple query destroys the unnamed statement.
func (p *Prepared) Sweep() {
	p.Unnamed = ""
	p.swept++
}

// Unnaming returns what notes that the unnamed statement is again what it is
// now, unless it was destroyed meanwhile.
func (p *Prepared) Unnaming() func() {
	before, swept := p.Unnamed, p.swept
	return func() {
		if p.Unnamed = before; p.swept != swept {
			p.Unnamed = ""
		}
	}
}

type prepared struct{ statement, name string }

// PreparedPrefix begins the names of prepared statements on servers.
const PreparedPrefix = "pgherd_"

// Find is the name under which the server has the statement.
func (p *Prepared) Find(statement string) (name string, ok bool) {
	at, ok := p.names[statement]
	if !ok {
		return "", false
	}
	p.recent.MoveToFront(at)
	return at.Value.(prepared).name, true
}

// Add notes that the statement is being prepared, and returns its name. If
// there are now more than limit, evicted is the name of one to close.
func (p *Prepared) Add(statement string, limit int) (name, evicted string) {
	if p.names == nil {
		p.names = map[string]*list.Element{}
	}
	if len(p.names) >= limit {
		last := p.recent.Back()
		evicted = last.Value.(prepared).name
		p.Remove(last.Value.(prepared).statement)
	}
	p.next++
	name = PreparedPrefix + strconv.FormatUint(p.next, 36)
	p.names[statement] = p.recent.PushFront(prepared{statement, name})
	return name, evicted
}

// Remove notes that the statement could not be prepared.
func (p *Prepared) Remove(statement string) {
	if at, ok := p.names[statement]; ok {
		p.recent.Remove(at)
		delete(p.names, statement)
	}
}

// Names are those under which statements are prepared.
func (p *Prepared) Names() (names []string) {
	for _, at := range p.names {
		names = append(names, at.Value.(prepared).name)
	}
	return names
}

// Len is how many are prepared.
func (p *Prepared) Len() int { return len(p.names) }

// Forget notes that the server has none any more: it was reset.
func (p *Prepared) Forget() {
	*p = Prepared{next: p.next, swept: p.swept}
}
