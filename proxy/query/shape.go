package query

import "sync"

// Shaped is a Script that differs from that of the same bytes in constants and
// places only (see AppendKey), if one is known. It does not allocate for strings of
// the usual length.
func (c *Cache) Shaped(sql []byte, syntax Syntax) (*Script, bool) {
	if script, ok := c.Cached(sql, syntax); ok {
		return script, true
	}
	room := shapeRooms.Get().(*[]byte)
	defer shapeRooms.Put(room)
	key, ok := AppendKey((*room)[:0], sql, syntax)
	if !ok {
		return nil, false
	}
	if cap(key) <= shapeRoom {
		*room = key
	}
	script, ok := c.Cached(key, syntax)
	return script, ok && !script.Unknown()
}

// shapeRooms are where keys are built; longer ones than shapeRoom are not kept.
var shapeRooms = sync.Pool{New: func() any { room := make([]byte, 0, 512); return &room }}

const shapeRoom = 16 << 10

// Shape is Shaped, parsed if need be, and remembered: once for all strings of one
// shape.
func (c *Cache) Shape(sql []byte, syntax Syntax) *Script {
	if key, ok := AppendKey(nil, sql, syntax); ok {
		if script := c.Parse(key, syntax); !script.Unknown() {
			return script
		}
	}
	return c.Parse(sql, syntax) // a literal may be wrong by itself
}
