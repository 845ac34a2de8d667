package command

import (
	"bytes"
	"iter"
	"strings"

	"pgherd/proxy/query"
	"pgherd/proxy/query/lex"
	"pgherd/proxy/wire"
)

// Errors for query strings with several commands.
var (
	mixed = &wire.Fault{Code: "0A000",
		Message: "commands to pgherd (PGPOOL, SHOW POOL_NODES and the like) cannot be mixed with SQL in one query string",
		Hint:    "Nothing in it was run. Send the commands in a query string of their own."}
	crowded = &wire.Fault{Code: "54000", Message: "too many commands to pgherd in one query string"}
)

// In returns the commands that a query string consists of, as find knows them. It returns none if
// the string is SQL.
func In(sql []byte, syntax query.Syntax, find func([]byte) (Command, bool)) ([]Command, error) {
	if _, _, ok := Explained(sql); ok || !mayHold(sql) || syntax.UnsafeEncoding {
		if command, ok := find(sql); ok {
			return []Command{command}, nil
		}
		return nil, nil
	}
	var list []Command
	ours, theirs := false, false
	for statement := range statements(sql, syntax) {
		command, found := find(statement)
		switch {
		case len(list) == Limit:
			return nil, crowded
		case found:
			list = append(list, command)
		}
		ours = ours || found || beginsWith(statement, own)
		theirs = theirs || !found
	}
	switch {
	case ours && theirs:
		return nil, mixed
	case theirs:
		return nil, nil
	}
	return list, nil
}

// Limit is how many commands may be in one query string (I5).
const Limit = 100

// own begins statements that only pgherd knows.
const own = "pgpool"

// mayHold says that a query string may have several statements, one of which is a command to
// pgherd, PGPOOL or SHOW POOL_. It is called for every Query, and is quick because few have a
// semicolon before the end.
func mayHold(sql []byte) bool {
	sql = bytes.TrimRight(sql, "; \t\r\n")
	if bytes.IndexByte(sql, ';') < 0 {
		return false
	}
	for ; len(sql) >= len(within); sql = sql[1:] {
		if sql[0]|' ' == within[0] && beginsWith(sql, within) {
			return true
		}
	}
	return false
}

// within is a word in every such command.
const within = "pool"

func beginsWith(b []byte, lower string) bool {
	return len(b) >= len(lower) && strings.EqualFold(string(b[:len(lower)]), lower)
}

// statements are the statements of a query string, without the comments between them.
func statements(sql []byte, syntax query.Syntax) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		lexer := lex.New(sql, syntax)
		start, end := -1, 0
		for {
			t := lexer.Next()
			over := t.Kind == lex.End || t.Kind == lex.Invalid
			switch {
			case t.Kind == lex.Comment:
				continue
			case !over && !(t.Kind == lex.Punctuation && sql[t.Start] == ';'):
				if start < 0 {
					start = t.Start
				}
				end = t.End
				continue
			case t.Kind == lex.Invalid && start < 0:
				start, end = t.Start, t.End
			case t.Kind == lex.Invalid:
				end = t.End
			}
			if start >= 0 && !yield(sql[start:end]) || over {
				return
			}
			start = -1
		}
	}
}
