package query

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"pgherd/proxy/query/lex"
)

// Parse classifies a string. It takes 10 to 150 us for the usual statements and some 50
// ms at the limits, so strings of more than a few hundred bytes belong on another
// goroutine than a worker's.
func Parse(sql []byte, syntax Syntax) *Script {
	script := &Script{Text: string(sql), Syntax: syntax}
	if script.Problem = check(sql, syntax); script.Problem != None {
		return script
	}
	if st, ok := quick(sql, syntax); ok {
		script.Statements = []Statement{st}
		return script
	}
	src := readable(script.Text, syntax)
	tree, err := pg.Parse(src.text)
	if err != nil {
		script.Problem = BadSyntax
		return script
	}
	script.Statements = make([]Statement, 0, len(tree.Stmts))
	for _, raw := range tree.Stmts {
		st := classify(&src, raw.Stmt)
		st.Offset, st.Length = place(&src, int(raw.StmtLocation), int(raw.StmtLen))
		for inner := st.Inner; inner != nil; inner = inner.Inner {
			inner.Offset, inner.Length = st.Offset, st.Length
		}
		script.Statements = append(script.Statements, st)
	}
	return script
}

// Warm makes later calls of Parse as fast as they can be: the first call takes some
// milliseconds, for tables that are built once.
func Warm() {
	for range 3 {
		Parse([]byte("SELECT lower(a), 1 FROM t WHERE b = $1 AND c IN (SELECT 'x')"), Syntax{})
	}
}

// place returns where a statement is in the original, without the space and comments
// before it and the space after it. For the parser, no length means "to the end".
func place(src *source, start, length int) (offset, size int) {
	end := len(src.text)
	if length > 0 {
		end = start + length
	}
	lexer := lex.New([]byte(src.text[start:end]), Syntax{})
	first := lexer.Next()
	for first.Kind == lex.Comment {
		first = lexer.Next()
	}
	end = start + len(strings.TrimRight(src.text[start:end], " \t\n\r\f\v"))
	offset = src.offset(start + first.Start)
	return offset, src.offset(end) - offset
}

// classify returns the statement for a node. A statement without a rule is Unknown.
func classify(src *source, node *pg.Node) Statement {
	m, ok := content(node)
	if !ok {
		return Statement{}
	}
	r, ok := rules[m.Descriptor().Name()]
	if !ok {
		return Statement{}
	}
	st := Statement{Kind: r.kind, Effects: r.effects}
	w := walker{source: src, st: &st, class: r.class, writes: r.class == Write}
	if r.class == Write {
		st.Effects |= Writes
	}
	if r.detail != nil {
		r.detail(&w, m.Interface())
	}
	if st.Inner == nil {
		w.visit(m)
	}
	if st.Kind == DDL || st.Kind == CreateTableAs {
		st.Plain, st.Objects = isPlain(m.Interface()), w.objects(m.Interface())
	}
	slices.Sort(st.Fields)
	st.Fields = slices.Compact(st.Fields)
	w.temporarySchema(m)
	st.Class = w.class
	return st
}

// temporarySchema finds what is made in pg_temp by the name of its schema, as in
// "CREATE FUNCTION pg_temp.f".
func (w *walker) temporarySchema(m protoreflect.Message) {
	name := string(m.Descriptor().Name())
	if w.st.Kind != DDL && w.st.Kind != CreateTableAs || strings.HasPrefix(name, "Alter") || strings.HasPrefix(name, "Drop") {
		return
	}
	for _, t := range w.st.Tables {
		if t.Write && temporary(t.Schema) {
			w.st.Effects |= TempTable
		}
	}
	for _, list := range madeNames {
		field := m.Descriptor().Fields().ByName(list)
		if field == nil || !field.IsList() || field.Message() == nil {
			continue
		}
		names := m.Get(field).List()
		if names.Len() < 2 {
			continue
		}
		schema, ok := names.Get(names.Len() - 2).Message().Interface().(*pg.Node)
		if ok && temporary(schema.GetString_().GetSval()) {
			w.st.Effects |= TempTable
		}
	}
}

// madeNames are the fields in which CREATE statements have a qualified name.
var madeNames = []protoreflect.Name{"funcname", "defnames", "type_name", "domainname", "opclassname", "opfamilyname", "conversion_name"}

// embed classifies the statement inside another. If it is executed at once, its effects
// are effects of the outer statement.
func (w *walker) embed(node *pg.Node, now bool) {
	inner := classify(w.source, node)
	w.st.Inner = &inner
	if !now {
		return
	}
	w.st.Effects |= inner.Effects
	w.st.Functions = append(w.st.Functions, inner.Functions...)
	w.st.Fields = append(w.st.Fields, inner.Fields...)
	for _, t := range inner.Tables {
		w.note(t.Schema, t.Name, t.Write)
	}
	w.raise(inner.Class)
}

// quick classifies BEGIN, COMMIT and ROLLBACK in their plainest forms without the
// parser; they are most of what the cache would miss.
func quick(sql []byte, syntax Syntax) (Statement, bool) {
	lexer := lex.New(sql, syntax)
	next := func() lex.Token {
		t := lexer.Next()
		for t.Kind == lex.Comment {
			t = lexer.Next()
		}
		return t
	}
	first := next()
	if first.Kind != lex.Word {
		return Statement{}, false
	}
	st := Statement{Class: Control, Offset: first.Start, Length: first.End - first.Start}
	switch word := sql[first.Start:first.End]; {
	case lex.IsWord(word, "BEGIN"):
		st.Kind = Begin
	case lex.IsWord(word, "COMMIT"), lex.IsWord(word, "END"):
		st.Kind = Commit
	case lex.IsWord(word, "ROLLBACK"), lex.IsWord(word, "ABORT"):
		st.Kind = Rollback
	default:
		return Statement{}, false
	}
	t := next()
	if t.Kind == lex.Punctuation && sql[t.Start] == ';' {
		t = next()
	}
	return st, t.Kind == lex.End
}
