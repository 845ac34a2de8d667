package command

import "pgherd/proxy/wire"

// Prepared has the commands to pgherd that a client has prepared and bound in the extended
// protocol. A name in it hides the same name on the server, until the client uses it for a
// statement of the server's.
type Prepared struct {
	Statements map[string]Kept
	Portals    map[string]Kept
	Bytes      int // of all of them
}

// Kept is one of these commands.
type Kept struct {
	Command
	Size int // in bytes
}

// Put keeps a command under a name in one of the maps.
func (c *Prepared) Put(m *map[string]Kept, name string, k Kept) {
	c.Drop(*m, name)
	if *m == nil {
		*m = map[string]Kept{}
	}
	(*m)[name] = k
	c.Bytes += k.Size
}

// Drop forgets the command of that name in one of the maps.
func (c *Prepared) Drop(m map[string]Kept, name string) {
	c.Bytes -= m[name].Size
	delete(m, name)
}

// Overtake notes a request that comes in pieces and is not read. A Parse or Bind of that length is
// for the server, and replaces the unnamed statement or portal if that was a command.
func (c *Prepared) Overtake(kind wire.Kind) {
	switch kind {
	case wire.Parse:
		c.Drop(c.Statements, "")
	case wire.Bind:
		c.Drop(c.Portals, "")
	}
}

// None says that no command is prepared or bound.
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
