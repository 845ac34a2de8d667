package query

import (
	"bytes"
	"strings"

	"pgherd/proxy/query/lex"
)

// Vacate is a database to which nobody else may be connected while a statement runs.
type Vacate struct {
	Database string
	Copies   bool // CREATE DATABASE copies it
	Force    bool // other sessions there are ended: DROP DATABASE WITH (FORCE)
}

// longestName is how many bytes of a name count (NAMEDATALEN - 1).
const longestName = 63

// Vacates are the databases that a text needs for itself: those of DROP DATABASE, ALTER
// DATABASE RENAME and SET TABLESPACE, and what CREATE DATABASE copies. It is quick for
// all other texts. Names with U& escapes are not read.
func Vacates(sql []byte, syntax Syntax) (all []Vacate) {
	if !mentions(sql) {
		return nil
	}
	r := tokenReader{lexer: lex.New(sql, syntax), sql: sql}
	for r.next(); r.kind != lex.End && r.kind != lex.Invalid; r.skip() {
		verb := r.word()
		if r.next(); r.word() != "database" {
			continue
		}
		r.next()
		if v := r.vacate(verb); v.Database != "" {
			all = append(all, v)
		}
	}
	return all
}

// mentions finds the word DATABASE by its one rare letter.
func mentions(sql []byte) bool {
	const word, rare = "database", 4
	for _, c := range [2]byte{'b', 'B'} {
		for from := 0; ; {
			i := bytes.IndexByte(sql[from:], c)
			if i < 0 {
				break
			}
			if begin := from + i - rare; begin >= 0 && begins(sql[begin:], word) {
				return true
			}
			from += i + 1
		}
	}
	return false
}

// begins says that a text begins with a word, in any case.
func begins(text []byte, word string) bool {
	if len(text) < len(word) {
		return false
	}
	for i := range len(word) {
		if text[i]|0x20 != word[i] {
			return false
		}
	}
	return true
}

// tokenReader reads a text token by token, comments aside.
type tokenReader struct {
	lexer lex.Lexer
	sql   []byte
	lex.Token
	kind lex.Kind
}

func (r *tokenReader) next() {
	for r.Token = r.lexer.Next(); r.Token.Kind == lex.Comment; r.Token = r.lexer.Next() {
	}
	r.kind = r.Token.Kind
}

func (r *tokenReader) text() string { return string(r.sql[r.Start:r.End]) }

// word is the present keyword, folded; "" if the token is none.
func (r *tokenReader) word() string {
	if r.kind != lex.Word {
		return ""
	}
	return Fold(r.text())
}

// ended says that the statement is over.
func (r *tokenReader) ended() bool {
	return r.kind == lex.End || r.kind == lex.Invalid || r.kind == lex.Punctuation && r.text() == ";"
}

// skip goes on to the next statement.
func (r *tokenReader) skip() {
	for !r.ended() {
		r.next()
	}
	if r.kind == lex.Punctuation {
		r.next()
	}
}

// name is the present name, as the catalog has it; "" if it cannot be read.
func (r *tokenReader) name() (name string) {
	switch text := r.text(); {
	case r.kind == lex.Word:
		name = Fold(text)
	case r.kind == lex.QuotedName && text[0] == '"':
		name = strings.ReplaceAll(text[1:len(text)-1], `""`, `"`)
	case r.kind == lex.String && text[0] == '\'' && !strings.ContainsAny(text[1:len(text)-1], `'\`):
		name = text[1 : len(text)-1] // TEMPLATE accepts a string
	}
	return name[:min(len(name), longestName)]
}

// vacate reads what follows the word DATABASE.
func (r *tokenReader) vacate(verb string) Vacate {
	switch verb {
	case "drop":
		if r.word() == "if" {
			r.next() // EXISTS
			r.next()
		}
		return Vacate{Database: r.name(), Force: r.has("force")}
	case "alter":
		name := r.name()
		r.next()
		if first := r.word(); first == "rename" || first == "set" && r.follows("tablespace") {
			return Vacate{Database: name}
		}
	case "create":
		return Vacate{Database: r.template(), Copies: true}
	}
	return Vacate{}
}

func (r *tokenReader) follows(word string) bool {
	r.next()
	return r.word() == word
}

// has says that the word is in the rest of the statement.
func (r *tokenReader) has(word string) bool {
	for r.next(); !r.ended(); r.next() {
		if r.word() == word {
			return true
		}
	}
	return false
}

// template is the database that CREATE DATABASE copies.
func (r *tokenReader) template() string {
	const usual = "template1"
	if !r.has("template") {
		return usual
	}
	if r.next(); r.kind == lex.Operator && r.text() == "=" {
		r.next()
	}
	if r.word() == "default" {
		return usual
	}
	return r.name()
}
