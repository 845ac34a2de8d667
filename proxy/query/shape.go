package query

import (
	"bytes"
	"sync"

	"pgherd/proxy/query/lex"
)

// Shaped is a Script that differs from that of the same bytes in constants and places
// only (see AppendKey), if one is known. It does not allocate for strings of the usual
// length.
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

// shapeRooms are buffers in which keys are built; those longer than shapeRoom are not
// kept.
var shapeRooms = sync.Pool{New: func() any { room := make([]byte, 0, 512); return &room }}

const shapeRoom = 16 << 10

// Shape is Shaped, but parses the string if need be and remembers the Script, once for
// all strings of one shape.
func (c *Cache) Shape(sql []byte, syntax Syntax) *Script {
	if key, ok := AppendKey(nil, sql, syntax); ok {
		if script := c.Parse(key, syntax); !script.Unknown() {
			return script
		}
	}
	return c.Parse(sql, syntax) // because a literal may be wrong by itself
}

// AppendKey appends to dst a shorter name of what a string does: its tokens, one space
// apart, without comments, and with every literal replaced by one of its kind. Scripts
// of strings with the same key differ in constants (Values, Arguments) and places only:
// class, kind, effects, tables and functions are the same. The Problem may differ,
// because a literal can be wrong by itself, so a Script with a Problem must not be
// remembered by key. A key belongs to one Syntax.
//
// Where literals matter, ok is false and the whole text must be analysed: if a
// statement begins with anything but SELECT, INSERT, UPDATE, DELETE, VALUES, TABLE,
// WITH or a bracket (the others name and set things by literals); if it calls a known
// function that is not harmless, such as nextval, set_config and pg_terminate_backend;
// and if nobody can tell where a literal ends (UnsafeEncoding).
//
// It allocates only to make dst larger.
func AppendKey(dst, sql []byte, syntax Syntax) (key []byte, ok bool) {
	if len(sql) > MaxBytes {
		return dst, false
	}
	k := keeper{lexer: lex.New(sql, syntax), key: dst, first: true}
	for {
		t := k.lexer.Next()
		if syntax.UnsafeEncoding && highByte(sql[t.Start:t.End]) {
			return dst, false
		}
		switch t.Kind {
		case lex.End:
			return k.key, true
		case lex.Invalid:
			return dst, false
		case lex.Comment:
			continue
		}
		if !k.token(sql[t.Start:t.End], t.Kind) {
			return dst, false
		}
	}
}

type keeper struct {
	lexer lex.Lexer
	key   []byte
	first bool   // a statement begins here
	last  []byte // the token before, if it may be the name of a function
}

// token adds a token. It is false if the whole text must be analysed.
func (k *keeper) token(text []byte, kind lex.Kind) bool {
	switch {
	case k.first && text[0] != ';' && text[0] != '(' && !stripped(text):
		return false
	case kind == lex.Punctuation && text[0] == '(' && k.last != nil && argumentsMatter(k.last):
		return false
	}
	k.first = kind == lex.Punctuation && (text[0] == ';' || k.first && text[0] == '(')
	k.last = nil
	if kind == lex.Word || kind == lex.QuotedName {
		k.last = text
	}
	k.key = append(k.key, ' ')
	if p := placeholder(kind); p != "" {
		k.key = append(k.key, p...)
	} else {
		k.key = append(k.key, text...)
	}
	return true
}

// stripped tells whether a statement that begins with a word has no literals that matter.
func stripped(word []byte) bool {
	for _, w := range [...]string{"SELECT", "INSERT", "UPDATE", "DELETE", "VALUES", "TABLE", "WITH"} {
		if lex.IsWord(word, w) {
			return true
		}
	}
	return false
}

// argumentsMatter says that a name is that of a function whose arguments a Script has,
// because they tell something about the session or the server.
func argumentsMatter(name []byte) bool {
	var room [64]byte
	folded := room[:0]
	for _, c := range bytes.Trim(name, `"`) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if len(folded) < len(room) { // no function of PostgreSQL's has a longer name
			folded = append(folded, c)
		}
	}
	known, ok := builtins()[string(folded)]
	return ok && known.mark != Harmless || bytes.IndexByte(name, '&') > 0 // U&"..." may be any name
}

// placeholder is the literal that stands for all of its kind. Kinds are kept apart,
// because they may select different functions of one name.
func placeholder(kind lex.Kind) string {
	switch kind {
	case lex.Integer:
		return "0"
	case lex.Decimal:
		return "0.0"
	case lex.BitString:
		return "B'0'"
	case lex.String:
		return "''"
	}
	return ""
}
