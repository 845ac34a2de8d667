// Package lex finds the tokens of a string of SQL as PostgreSQL does.
//
// Contract: a pure function from bytes and Syntax to Tokens. It allocates nothing, reads
// each byte a bounded number of times, and never panics, whatever the bytes.
package lex

import "bytes"

// Syntax is the part of a session's settings that changes the meaning of bytes. The
// zero value is PostgreSQL's default.
type Syntax struct {
	// BackslashEscapes is standard_conforming_strings = off.
	BackslashEscapes bool
	// UnsafeEncoding is a client_encoding in which the bytes of a character may look
	// like ASCII.
	UnsafeEncoding bool
}

// Kind is what a token is to the lexer; keywords are Words.
type Kind uint8

const (
	End         Kind = iota // of the string
	Invalid                 // unterminated, or what PostgreSQL's lexer refuses
	Comment                 // with its -- or its /* and */
	Word                    // a keyword or an unquoted name
	QuotedName              // "..." and U&"..."
	String                  // '...', E'...', U&'...', $tag$...$tag$, with continuations
	BitString               // B'...' and X'...'
	Integer                 // digits, 0x.., 0o.., 0b..
	Decimal                 // with a point or an exponent
	Parameter               // $1
	Operator                // of + - * / < > = ~ ! @ # % ^ & | ` ?, and := :: => ..
	Punctuation             // one of ( ) [ ] , ; : . and any other byte by itself
)

// Token is a lexeme: sql[Start:End].
type Token struct {
	Kind       Kind
	Start, End int
}

// Lexer finds the tokens of a string as PostgreSQL 16 does (scan.l; versions
// before 15 differ where they read "1a" as two tokens). It allocates nothing
// and reads each byte a bounded number of times.
type Lexer struct {
	sql    []byte
	pos    int
	syntax Syntax
}

// New starts at the beginning of sql, which it does not change.
func New(sql []byte, syntax Syntax) Lexer { return Lexer{sql: sql, syntax: syntax} }

// Next returns the next token. After End and after Invalid it returns the same again.
func (l *Lexer) Next() Token {
	for l.pos < len(l.sql) && isSpace(l.sql[l.pos]) {
		l.pos++
	}
	if l.pos == len(l.sql) {
		return Token{End, l.pos, l.pos}
	}
	start := l.pos
	kind, end := l.scan(start)
	if end < 0 {
		return Token{Invalid, start, len(l.sql)}
	}
	l.pos = end
	return Token{kind, start, end}
}

// scan finds the token that starts at i; its end is negative if it is invalid.
func (l *Lexer) scan(i int) (Kind, int) {
	c := l.sql[i]
	switch {
	case c == '\'':
		if l.syntax.BackslashEscapes {
			return String, l.quoted(i, escaped)
		}
		return String, l.quoted(i, plain)
	case c == '"':
		return QuotedName, l.quotedName(i)
	case c == '$':
		return l.dollar(i)
	case isDigit(c) || c == '.' && isDigit(l.at(i+1)):
		return l.number(i)
	case isNameStart(c):
		return l.word(i)
	case l.startsComment(i):
		return Comment, l.comment(i)
	case isOperator(c):
		return Operator, l.operator(i)
	}
	if two := l.at(i + 1); c == ':' && (two == ':' || two == '=') || c == '.' && two == '.' {
		return Operator, i + 2
	}
	return Punctuation, i + 1
}

// at is the byte at i, or 0 after the end. A 0 in the string cannot come from a client,
// because strings in PostgreSQL's messages end there.
func (l *Lexer) at(i int) byte {
	if i < len(l.sql) {
		return l.sql[i]
	}
	return 0
}

// word is a name, or a literal that begins with a letter.
func (l *Lexer) word(i int) (Kind, int) {
	switch c, next := l.sql[i]|0x20, l.at(i+1); {
	case next == '\'' && c == 'e':
		return String, l.quoted(i+1, escaped)
	case next == '\'' && (c == 'b' || c == 'x'):
		return BitString, l.quoted(i+1, single)
	case next == '\'' && c == 'n':
		return Word, i + 1 // NCHAR, and then a string
	case c == 'u' && next == '&' && l.at(i+2) == '"':
		return QuotedName, l.quotedName(i + 2)
	case c == 'u' && next == '&' && l.at(i+2) == '\'':
		if l.syntax.BackslashEscapes {
			return Invalid, -1 // PostgreSQL refuses it: unsafe use of Unicode escapes
		}
		return String, l.quoted(i+2, plain)
	}
	return Word, l.name(i)
}

func (l *Lexer) name(i int) int {
	for i < len(l.sql) && isNameByte(l.sql[i]) {
		i++
	}
	return i
}

func (l *Lexer) startsComment(i int) bool {
	c, next := l.sql[i], l.at(i+1)
	return c == '-' && next == '-' || c == '/' && next == '*'
}

// comment returns the end of a comment of one line, or of nested ones as in C.
func (l *Lexer) comment(i int) int {
	if l.sql[i] == '-' {
		return l.lineEnd(i)
	}
	depth := 0
	for i+1 < len(l.sql) {
		switch {
		case l.sql[i] == '/' && l.sql[i+1] == '*':
			depth++
			i += 2
		case l.sql[i] == '*' && l.sql[i+1] == '/':
			i += 2
			if depth--; depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return -1
}

func (l *Lexer) lineEnd(i int) int {
	if n := bytes.IndexAny(l.sql[i:], "\n\r"); n >= 0 {
		return i + n
	}
	return len(l.sql)
}

// operator returns the end of the longest run of operator bytes that PostgreSQL takes
// for one operator. It ends where a comment begins, and ends in + or - only if it has a
// byte that no operator of the SQL standard has.
func (l *Lexer) operator(i int) int {
	end := i
	for end < len(l.sql) && isOperator(l.sql[end]) && !l.startsComment(end) {
		end++
	}
	for end > i+1 && isSign(l.sql[end-1]) && !bytes.ContainsAny(l.sql[i:end], "~!@#^&|`?%") {
		end--
	}
	if end-i > longestOperator {
		return -1
	}
	return end
}

const longestOperator = 63 // bytes, as PostgreSQL is built by default

// Classes of bytes, as in scan.l.
const (
	space = 1 << iota
	digit
	nameStart
	operator
)

var classOf = func() (table [256]uint8) {
	set := func(bytes string, class uint8) {
		for i := range len(bytes) {
			table[bytes[i]] |= class
		}
	}
	set(" \t\n\r\f", space)
	set("0123456789", digit)
	set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", nameStart)
	set("~!@#^&|`?+-*/%<>=", operator)
	for c := 0x80; c <= 0xff; c++ {
		table[c] |= nameStart
	}
	return table
}()

func isSpace(c byte) bool     { return classOf[c]&space != 0 }
func isDigit(c byte) bool     { return classOf[c]&digit != 0 }
func isNameStart(c byte) bool { return classOf[c]&nameStart != 0 }
func isNameByte(c byte) bool  { return classOf[c]&(nameStart|digit) != 0 || c == '$' }
func isSign(c byte) bool      { return c == '+' || c == '-' }
func isOperator(c byte) bool  { return classOf[c]&operator != 0 }

// IsWord compares w with a word in capitals, as PostgreSQL compares keywords.
func IsWord(w []byte, capitals string) bool {
	if len(w) != len(capitals) {
		return false
	}
	for i, c := range w {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != capitals[i] {
			return false
		}
	}
	return true
}
