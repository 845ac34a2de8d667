package query

// quick classifies BEGIN, COMMIT and ROLLBACK in their plainest forms, which are
// most of what a miss would be, without the parser.
func quick(sql []byte, syntax Syntax) (Statement, bool) {
	lexer := NewLexer(sql, syntax)
	next := func() Token {
		t := lexer.Next()
		for t.Kind == Comment {
			t = lexer.Next()
		}
		return t
	}
	first := next()
	if first.Kind != Word {
		return Statement{}, false
	}
	st := Statement{Class: Control, Offset: first.Start, Length: first.End - first.Start}
	switch word := sql[first.Start:first.End]; {
	case isWord(word, "BEGIN"):
		st.Kind = Begin
	case isWord(word, "COMMIT"), isWord(word, "END"):
		st.Kind = Commit
	case isWord(word, "ROLLBACK"), isWord(word, "ABORT"):
		st.Kind = Rollback
	default:
		return Statement{}, false
	}
	t := next()
	if t.Kind == Punctuation && sql[t.Start] == ';' {
		t = next()
	}
	return st, t.Kind == End
}
