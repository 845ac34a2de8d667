package catalog

import (
	"slices"
	"strings"

	"pgherd/proxy/query"
	"pgherd/proxy/query/lex"
)

// finding is what the source of a function shows.
type finding struct {
	verdict Verdict
	place   place           // names of PostgreSQL's own that it uses
	ddl     bool            // has statements that fire event triggers
	words   map[string]bool // keys of all names, which may be functions and relations
}

// judge reads the body of a function in the language sql or plpgsql. A body that reads
// differently where backslashes escape is read in both ways.
func judge(source, language string) finding {
	f := finding{words: map[string]bool{}}
	f.read(source, language, query.Syntax{})
	if strings.Contains(source, `\'`) {
		f.read(source, language, query.Syntax{BackslashEscapes: true})
	}
	return f
}

func (f *finding) read(source, language string, syntax query.Syntax) {
	body, ok := tokens(source, syntax)
	if !ok {
		f.raise(runs)
	}
	for i, t := range body {
		if t.kind != lex.Word && t.kind != lex.QuotedName {
			continue
		}
		f.words[key(t.text)] = true
		f.raise(mention(body, i))
		f.place = max(f.place, placeOfName(body, i))
		if t.kind == lex.Word && (begins(body, i) || language == "sql" && selectInto(body, i)) {
			f.raise(statement(body[i:]))
			f.ddl = f.ddl || definitions[t.text] || t.text == "into"
		}
	}
	if f.words["pg_settings"] && f.words["update"] { // which is set_config
		f.raise(Keeps)
	}
}

func (f *finding) raise(v Verdict) { f.verdict = max(f.verdict, v) }

// token is a token of a body; comments are left out. Words are in lower case and quoted
// names without their quotes.
type token struct {
	kind lex.Kind
	text string
}

func (t token) is(word string) bool { return t.kind == lex.Word && t.text == word }

// tokens also tells whether the whole body could be read.
func tokens(source string, syntax query.Syntax) ([]token, bool) {
	var body []token
	lexer := lex.New([]byte(source), syntax)
	for {
		t := lexer.Next()
		text := source[t.Start:t.End]
		switch t.Kind {
		case lex.End:
			return body, true
		case lex.Invalid:
			return body, false
		case lex.Comment:
			continue
		case lex.Word:
			text = strings.ToLower(text)
		case lex.QuotedName:
			if text[0] != '"' && strings.Contains(text, `\`) {
				return body, false // U&"...", which people do not write by hand
			}
			text = strings.ReplaceAll(text[strings.IndexByte(text, '"')+1:len(text)-1], `""`, `"`)
		}
		body = append(body, token{t.Kind, text})
	}
}

// at is a token, or one of no kind beyond the ends of the body.
func at(body []token, i int) token {
	if i < 0 || i >= len(body) {
		return token{}
	}
	return body[i]
}

// begins says that a statement may begin at i.
func begins(body []token, i int) bool {
	before := at(body, i-1)
	return i == 0 || before.text == ";" || before.text == ">>" || before.kind == lex.Word && starts[before.text]
}

// selectInto is a table made by SELECT; in PL/pgSQL INTO would name variables.
func selectInto(body []token, i int) bool {
	before := at(body, i-1)
	return body[i].is("into") && !before.is("insert") && !before.is("merge")
}

// mention is what a name leaves wherever it stands.
func mention(body []token, i int) Verdict {
	t, before := body[i], at(body, i-1)
	switch {
	case t.text == "pg_prepared_statements":
		return Reveals
	case t.text == "set_config":
		return setConfig(body[i+1:])
	case temporary(t.text), t.is("temp"), t.is("temporary"):
		return Asks
	case t.is("execute"): // it runs SQL in a string, or a prepared statement
		return runs
	case t.is("hold") && before.is("with"):
		return Asks
	}
	return builtins()[t.text]
}

// placeOfName is where a function or relation of PostgreSQL's own by that name may be
// used. A column may have the name of a function, but only a function has arguments.
func placeOfName(body []token, i int) place {
	t := body[i]
	switch {
	case at(body, i+1).text == "(":
		return places()[t.text]
	case at(body, i-1).text == "." && t.text != "version" && places()[t.text] != anywhere:
		return places()[t.text] // x.f is f(x); version has no argument, and many columns have this name
	case t.text == "information_schema", t.text != "pg_catalog" && strings.HasPrefix(t.text, "pg_"):
		return system
	case t.is("insert"), t.is("update"), t.is("delete"), t.is("merge"):
		return writes
	}
	return anywhere
}

// setConfig is Harmless if the last argument, is_local, is the constant true.
func setConfig(after []token) Verdict {
	depth, start := 0, 1
	for i, t := range after {
		switch t.text {
		case "(":
			depth++
		case ",":
			if depth == 1 {
				start = i + 1
			}
		case ")":
			if depth--; depth == 0 {
				return isLocal(after[start:i])
			}
		}
		if depth == 0 {
			break
		}
	}
	return Keeps
}

func isLocal(argument []token) Verdict {
	if len(argument) == 3 && argument[0].text == "is_local" && slices.Contains([]string{"=>", ":="}, argument[1].text) {
		argument = argument[2:]
	}
	if len(argument) == 1 && argument[0].is("true") {
		return Harmless
	}
	return Keeps
}

// statement is what the statement that begins here leaves.
func statement(rest []token) Verdict {
	switch rest[0].text {
	case "into":
		return Asks
	case "set":
		return setting(rest[1:])
	case "reset":
		if at(rest, 1).is("all") {
			return Keeps
		}
		return setting(rest[1:])
	case "create":
		return create(rest[1:])
	}
	return statements[rest[0].text]
}

// setting is SET after its first word.
func setting(rest []token) Verdict {
	if at(rest, 0).is("session") && at(rest, 1).text != "." {
		rest = rest[1:]
	}
	name := at(rest, 0)
	switch {
	case strings.EqualFold(name.text, "seed"):
		return Spoils
	case at(rest, 1).text == ".", strings.Contains(name.text, "."), hidden[strings.ToLower(name.text)]:
		return Keeps
	case name.is("local"), name.is("constraints"), name.is("transaction"):
		return Harmless
	}
	return Asks
}

// create is CREATE after its first word.
func create(rest []token) Verdict {
	if at(rest, 0).is("or") {
		rest = rest[min(2, len(rest)):]
	}
	if what := at(rest, 0); what.kind == lex.Word && creations[what.text] {
		return Asks
	}
	return runs
}
