package command

import "pgherd/proxy/wire"

// Prepared are pgherd's own commands that a client has prepared and bound in
// the extended protocol. A name of ours hides one of the server's until it is
// used anew.
type Prepared struct {
	Statements map[string]Kept
	Portals    map[string]Kept
	Bytes      int // of all of them
}

// Kept is one of them.
type Kept struct {
	Command
	Size int
}

// Put keeps a command under a name, in one of the maps.
func (c *Prepared) Put(m *map[string]Kept, name string, k Kept) {
	c.Drop(*m, name)
	if *m == nil {
		*m = map[string]Kept{}
	}
	(*m)[name] = k
	c.Bytes += k.Size
}

// Drop forgets it.
func (c *Prepared) Drop(m map[string]Kept, name string) {
	c.Bytes -= m[name].Size
	delete(m, name)
}

// Overtake: a request passes in pieces, unread. A long Parse or Bind is for
// the server, and takes the unnamed statement or portal from us if we had it.
func (c *Prepared) Overtake(kind wire.Kind) {
	switch kind {
	case wire.Parse:
		c.Drop(c.Statements, "")
	case wire.Bind:
		c.Drop(c.Portals, "")
	}
}

// None says that there are none.
func (c *Prepared) None() bool { return len(c.Statements) == 0 && len(c.Portals) == 0 }

// Named finds a statement ('S') or portal ('P').
func (c *Prepared) Named(what byte, name []byte) (command Kept, ok bool) {
	if what == 'S' {
		command, ok = c.Statements[string(name)]
	} else {
		command, ok = c.Portals[string(name)]
	}
	return command, ok
}
