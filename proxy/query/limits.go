package query

import (
	"bytes"

	"pgherd/proxy/query/lex"
)

// Limits on what is given to the parser. The parser is C: it runs on the stack of a
// thread, which cannot grow, and too deep a tree ends the process.
//
// Measured with pg_query_go v5.1.0: a level of the tree takes up to 350 bytes of stack
// in "1+1+1...", "1::int::int...", JOIN and IS NULL chains (crash at 3,027 levels with
// threads of 1 MB, at 24,000 with the usual 8 MB; forms that nest to the right end
// earlier, in an error of the grammar's own stack). A token costs up to 4.5 us, a byte
// of one long literal 9 ns.
const (
	// MaxBytes is the longest string that is analysed.
	MaxBytes = 256 << 10
	// MaxTokens keeps a parse under 50 ms.
	MaxTokens = 10_000
	// MaxNesting is the most that nestable tokens may add up to, from the outermost
	// bracket to the innermost. No tree is deeper. It is a third of what 1 MB holds.
	MaxNesting = 1_000
)

// nesting follows an upper bound of the depth of the tree that tokens make.
//
// At one level of brackets, what stands between two commas can nest once for
// each of its operators and words ("1+1+1", "NOT NOT", "JOIN a JOIN b"); items
// of a list are side by side. UNION, INTERSECT and EXCEPT nest across the commas
// of the SELECTs that they join. Not counted is what never nests by itself:
// literals, parameters, quoted names, names after a dot, comparisons (not
// associative), AND and OR (which the grammar flattens).
type nesting struct {
	open   []level // brackets that are open, outermost first
	now    level
	sum    int  // of all levels
	atomic bool // a function body was seen, in which a semicolon does not end the statement
	dotted bool // the last token was a dot
}

type level struct{ item, chain int }

func (n *nesting) token(sql []byte, t lex.Token) {
	dotted := n.dotted
	n.dotted = t.Kind == lex.Punctuation && sql[t.Start] == '.'
	switch t.Kind {
	case lex.Punctuation:
		n.punctuation(sql[t.Start])
	case lex.Operator:
		if !comparison(sql[t.Start:t.End]) {
			n.add()
		}
	case lex.Word:
		n.word(sql[t.Start:t.End], dotted)
	}
}

func (n *nesting) punctuation(c byte) {
	switch c {
	case '(', '[':
		n.add()
		n.open = append(n.open, n.now)
		n.now = level{}
	case ')', ']':
		if len(n.open) > 0 { // otherwise it is a syntax error
			n.sum -= n.now.item + n.now.chain
			n.now = n.open[len(n.open)-1]
			n.open = n.open[:len(n.open)-1]
		}
	case ',':
		n.sum -= n.now.item
		n.now.item = 0
	case ';':
		if len(n.open) == 0 && !n.atomic {
			n.sum, n.now = 0, level{}
		}
	case '.': // names in a row are one node
	default: // ':' and other bytes that are no operator
		n.add()
	}
}

func (n *nesting) word(w []byte, dotted bool) {
	switch {
	case dotted || lex.IsWord(w, "AND") || lex.IsWord(w, "OR"):
	case lex.IsWord(w, "UNION") || lex.IsWord(w, "EXCEPT") || lex.IsWord(w, "INTERSECT"):
		n.now.chain++
		n.sum++
	case lex.IsWord(w, "ATOMIC"):
		n.atomic = true
		n.add()
	default:
		n.add()
	}
}

func (n *nesting) add() {
	n.now.item++
	n.sum++
}

func comparison(op []byte) bool {
	switch string(op) {
	case "=", "<", ">", "<=", ">=", "<>", "!=":
		return true
	}
	return false
}

// check reads the whole string once and says whether it may be parsed.
func check(sql []byte, syntax Syntax) Problem {
	if len(sql) > MaxBytes {
		return TooLong
	}
	if bytes.IndexByte(sql, 0) >= 0 {
		return BadLexeme
	}
	var room [32]level
	n := nesting{open: room[:0]}
	lexer := lex.New(sql, syntax)
	for tokens := 0; ; tokens++ {
		t := lexer.Next()
		switch {
		case t.Kind == lex.End:
			return None
		case t.Kind == lex.Invalid:
			return BadLexeme
		case tokens >= MaxTokens:
			return TooManyTokens
		}
		if n.token(sql, t); n.sum > MaxNesting {
			return TooDeep
		}
		if syntax.UnsafeEncoding && highByte(sql[t.Start:t.End]) {
			return UnsafeEncoding
		}
	}
}

func highByte(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}
