package lex

import (
	"bytes"
	"strings"
)

// quoting is how a string may contain a quote.
type quoting uint8

const (
	single  quoting = iota // not at all
	plain                  // ''
	escaped                // '' and \'
)

// quoted returns the end of a string whose first quote is at i, with the parts that
// continue it after a newline; -1 if there is none.
func (l *Lexer) quoted(i int, style quoting) int {
	for i++; i < len(l.sql); i++ {
		switch l.sql[i] {
		case '\\':
			if style == escaped {
				i++
			}
		case '\'':
			if style != single && l.at(i+1) == '\'' {
				i++
				continue
			}
			next := l.continued(i + 1)
			if next < 0 {
				return i + 1
			}
			i = next
		}
	}
	return -1
}

// continued returns the quote that continues a string which ended before i, after
// spaces and comments with at least one newline among them; otherwise it is negative.
func (l *Lexer) continued(i int) int {
	for l.at(i) == ' ' || l.at(i) == '\t' || l.at(i) == '\f' {
		i++
	}
	if l.at(i) == '-' && l.at(i+1) == '-' {
		i = l.lineEnd(i)
	}
	if l.at(i) != '\n' && l.at(i) != '\r' {
		return -1
	}
	for {
		for i < len(l.sql) && isSpace(l.sql[i]) {
			i++
		}
		if l.at(i) == '\'' {
			return i
		}
		if l.at(i) != '-' || l.at(i+1) != '-' {
			return -1
		}
		if i = l.lineEnd(i); i == len(l.sql) {
			return -1
		}
	}
}

func (l *Lexer) quotedName(i int) int {
	first := i
	for i++; i < len(l.sql); i++ {
		if l.sql[i] != '"' {
			continue
		}
		if l.at(i+1) != '"' {
			if i == first+1 {
				return -1 // a name without a character
			}
			return i + 1
		}
		i++
	}
	return -1
}

// dollar is a parameter, a dollar-quoted string, or a dollar by itself.
func (l *Lexer) dollar(i int) (Kind, int) {
	if isDigit(l.at(i + 1)) {
		end := i + 2
		for isDigit(l.at(end)) {
			end++
		}
		return Parameter, end
	}
	tag := i + 1
	if isNameStart(l.at(tag)) {
		for isNameByte(l.at(tag)) && l.at(tag) != '$' {
			tag++
		}
	}
	if l.at(tag) != '$' {
		return Punctuation, i + 1
	}
	body := tag + 1
	n := bytes.Index(l.sql[body:], l.sql[i:body])
	if n < 0 {
		return Invalid, -1
	}
	return String, body + n + (body - i)
}

// number reads digits with single underscores between them, as PostgreSQL 16.
func (l *Lexer) number(i int) (Kind, int) {
	if l.sql[i] == '0' {
		switch l.at(i+1) | 0x20 {
		case 'x':
			return l.based(i+2, "0123456789abcdefABCDEF")
		case 'o':
			return l.based(i+2, "01234567")
		case 'b':
			return l.based(i+2, "01")
		}
	}
	kind, end := Integer, l.digits(i)
	if l.at(end) == '.' && (end == i || l.at(end+1) != '.') { // "1..2" is 1 and 2
		kind = Decimal
		if end++; isDigit(l.at(end)) {
			end = l.digits(end)
		}
	}
	if l.at(end)|0x20 == 'e' {
		kind = Decimal
		if end++; l.at(end) == '+' || l.at(end) == '-' {
			end++
		}
		if !isDigit(l.at(end)) {
			return Invalid, -1
		}
		end = l.digits(end)
	}
	if isNameStart(l.at(end)) {
		return Invalid, -1 // trailing junk
	}
	return kind, end
}

// digits is the end of (_?digit)* from i.
func (l *Lexer) digits(i int) int {
	for isDigit(l.at(i)) || l.at(i) == '_' && isDigit(l.at(i+1)) {
		i++
	}
	return i
}

// based is an integer after its 0x, 0o or 0b: (_?digit)+, and no junk.
func (l *Lexer) based(i int, digits string) (Kind, int) {
	first := i
	valid := func(i int) bool { return i < len(l.sql) && strings.IndexByte(digits, l.sql[i]) >= 0 }
	for valid(i) || l.at(i) == '_' && valid(i+1) {
		i++
	}
	if i == first || isNameStart(l.at(i)) {
		return Invalid, -1
	}
	return Integer, i
}
