package query

import (
	"hash/maphash"
	"sync/atomic"
)

// Cache remembers the Scripts of strings that were parsed before, by their exact text
// and Syntax.
//
// All workers share it: a statement is parsed once, not once for each core. A hit takes
// no lock and writes nothing that others read, except a mark when an entry is used for
// the first time since an eviction last passed by. The cache is an array of sets of a
// few slots; each slot is an atomic pointer to an immutable entry. Adding an entry
// swaps a pointer, so two workers that parse the same string at once lose one of the
// two results and nothing else.
//
// The number of slots bounds the entries, and a limit bounds the bytes. Whoever would
// exceed it first empties other slots, in the order of a clock hand.
type Cache struct {
	seed  maphash.Seed // random, so that nobody can aim at one set
	slots []atomic.Pointer[entry]
	mask  uint64 // of sets
	limit int64
	used  atomic.Int64 // bytes
	hand  atomic.Uint64
}

type entry struct {
	hash   uint64
	script *Script
	size   int64
	recent atomic.Bool // used since an eviction last passed by
}

const (
	setSlots = 8
	// maxShare is the largest part of the cache's bytes that one entry may take.
	maxShare = 8
	// maxSweep is how many slots one Put may look at to make room.
	maxSweep = 256
)

// NewCache makes a cache of about that many entries (rounded up to a power of two,
// at least 8) and no more than that many bytes.
func NewCache(entries, bytes int) *Cache {
	sets := 1
	for sets*setSlots < entries {
		sets *= 2
	}
	return &Cache{
		seed:  maphash.MakeSeed(),
		slots: make([]atomic.Pointer[entry], sets*setSlots),
		mask:  uint64(sets - 1),
		limit: int64(bytes),
	}
}

// Cached is what Parse answered for the same bytes, if that is still known. It
// does not allocate, and keeps nothing of sql.
func (c *Cache) Cached(sql []byte, syntax Syntax) (*Script, bool) {
	hash := maphash.Bytes(c.seed, sql)
	set := c.set(hash)
	for i := range set {
		e := set[i].Load()
		if e == nil || e.hash != hash || e.script.Text != string(sql) || e.script.Syntax != syntax {
			continue
		}
		if !e.recent.Load() {
			e.recent.Store(true)
		}
		return e.script, true
	}
	return nil, false
}

// Parse is Parse with a memory. Strings that were not parsed are not kept, because
// finding that out again is cheap.
func (c *Cache) Parse(sql []byte, syntax Syntax) *Script {
	if script, ok := c.Cached(sql, syntax); ok {
		return script
	}
	script := Parse(sql, syntax)
	if !script.Unknown() || script.Problem == BadSyntax {
		c.put(script)
	}
	return script
}

func (c *Cache) set(hash uint64) []atomic.Pointer[entry] {
	first := (hash & c.mask) * setSlots
	return c.slots[first : first+setSlots]
}

func (c *Cache) put(script *Script) {
	e := &entry{hash: maphash.String(c.seed, script.Text), script: script, size: script.Size()}
	if e.size > c.limit/maxShare || !c.reserve(e.size) {
		return
	}
	old := c.victim(c.set(e.hash)).Swap(e)
	if old != nil {
		c.used.Add(-old.size)
	}
}

// victim is the slot of a set for a new entry: an empty one, else one that was not used
// since victim last passed by, else the first.
func (c *Cache) victim(set []atomic.Pointer[entry]) *atomic.Pointer[entry] {
	for i := range set {
		if set[i].Load() == nil {
			return &set[i]
		}
	}
	for i := range set {
		if e := set[i].Load(); e == nil || !e.recent.Swap(false) {
			return &set[i]
		}
	}
	return &set[0]
}

// reserve accounts for size bytes, and empties slots until they fit.
func (c *Cache) reserve(size int64) bool {
	used := c.used.Add(size)
	for range maxSweep {
		if used <= c.limit {
			return true
		}
		slot := &c.slots[c.hand.Add(1)%uint64(len(c.slots))]
		e := slot.Load()
		if e == nil || e.recent.Swap(false) {
			continue
		}
		if slot.CompareAndSwap(e, nil) {
			used = c.used.Add(-e.size)
		}
	}
	if used <= c.limit {
		return true
	}
	c.used.Add(-size)
	return false
}

// Sizes of values in memory, rounded up.
const (
	scriptSize    = 256 // with its entry
	statementSize = 320
	relationSize  = 48
	functionSize  = 80
	argumentSize  = 48
)

// Size is about what a Script takes in memory.
func (s *Script) Size() int64 {
	total := scriptSize + len(s.Text)
	for i := range s.Statements {
		total += s.Statements[i].Size()
	}
	return int64(total)
}

// Size is about what a Statement takes in memory, without the text.
func (st *Statement) Size() int {
	total := statementSize + len(st.Name) + len(st.Value) + len(st.Mode.Isolation)
	for _, v := range st.Values {
		total += 16 + len(v)
	}
	for _, t := range st.Tables {
		total += relationSize + len(t.Schema) + len(t.Name)
	}
	for _, f := range st.Functions {
		total += functionSize + len(f.Schema) + len(f.Name)
		for _, a := range f.Arguments {
			total += argumentSize + len(a.Text)
		}
	}
	for _, name := range st.Fields {
		total += 16 + len(name)
	}
	if st.Inner != nil {
		total += st.Inner.Size()
	}
	return total
}
