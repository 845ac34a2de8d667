package query

import (
	"slices"
	"strings"
	"unicode/utf8"

	"pgherd/proxy/query/lex"
)

// source is a client's string in a form that the parser can read: in UTF-8 and with
// standard_conforming_strings on. added lists the bytes that had to be added.
type source struct {
	original string
	text     string
	added    []int // offsets in text of bytes that original does not have, ascending
	bytewise bool  // not UTF-8: each byte from 0x80 up became the rune of that number
}

func readable(sql string, syntax Syntax) source {
	s := source{original: sql}
	sql = blanked(sql, syntax)
	s.text, s.bytewise = sql, !utf8.ValidString(sql)
	escapes := syntax.BackslashEscapes && strings.IndexByte(sql, '\\') >= 0
	if !s.bytewise && !escapes {
		return s
	}
	var marks []int
	if escapes {
		marks = plainStrings(sql, syntax)
	}
	var b strings.Builder
	for i := range len(sql) {
		if len(marks) > 0 && marks[0] == i {
			marks = marks[1:]
			s.added = append(s.added, b.Len(), b.Len()+1)
			b.WriteString(" E")
		}
		if c := sql[i]; s.bytewise && c >= utf8.RuneSelf {
			s.added = append(s.added, b.Len()+1)
			b.WriteRune(rune(c))
		} else {
			b.WriteByte(c)
		}
	}
	s.text = b.String()
	return s
}

// blanked replaces comments by spaces, because the parser needs time in the square of
// the number of stars and slashes in one.
func blanked(sql string, syntax Syntax) string {
	if !strings.Contains(sql, "--") && !strings.Contains(sql, "/*") {
		return sql
	}
	text := []byte(sql)
	lexer := lex.New([]byte(sql), syntax)
	for t := lexer.Next(); t.Kind != lex.End && t.Kind != lex.Invalid; t = lexer.Next() {
		if t.Kind == lex.Comment {
			for i := t.Start; i < t.End; i++ {
				text[i] = ' '
			}
		}
	}
	return string(text)
}

// plainStrings are the offsets of '...' with a backslash in it.
func plainStrings(sql string, syntax Syntax) []int {
	var found []int
	lexer := lex.New([]byte(sql), syntax)
	for t := lexer.Next(); t.Kind != lex.End && t.Kind != lex.Invalid; t = lexer.Next() {
		if t.Kind == lex.String && sql[t.Start] == '\'' && strings.IndexByte(sql[t.Start:t.End], '\\') >= 0 {
			found = append(found, t.Start)
		}
	}
	return found
}

// offset is where in original the byte at an offset in text came from.
func (s *source) offset(at int) int {
	n, _ := slices.BinarySearch(s.added, at)
	return at - n
}

// client is a string from the parser's tree, in the client's encoding.
func (s *source) client(text string) string {
	if !s.bytewise {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if r < 0x100 {
			b.WriteByte(byte(r))
		} else {
			b.WriteRune(r) // out of a Unicode escape
		}
	}
	return b.String()
}

// SafeEncoding says that in a client_encoding the bytes of a character never look like
// ASCII, so that quotes and backslashes can be recognized. In the others, which
// PostgreSQL accepts from clients only, the second byte of a character may be a
// backslash.
func SafeEncoding(name string) bool {
	folded := strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			return r
		}
		return -1 // PostgreSQL compares only the letters and digits of names
	}, name)
	switch folded {
	case "sjis", "mskanji", "shiftjis", "win932", "windows932", "shiftjis2004",
		"big5", "win950", "windows950", "gbk", "win936", "windows936",
		"uhc", "win949", "windows949", "johab", "gb18030":
		return false
	}
	return true
}
