package query

import (
	"regexp"
	"strconv"
	"strings"

	"pgherd/proxy/query/lex"
)

// Signal says that a script signals one process, with pg_terminate_backend or
// pg_cancel_backend, and does nothing else. If the process is a parameter that is first
// cast from a wider type, from is that type.
func Signal(script *Script) (from string, ok bool) {
	form := signal.FindStringSubmatch(outline(script))
	if form == nil {
		return "", false
	}
	return form[1], true
}

// signal is such a statement's outline. The submatch is from.
var signal = func() *regexp.Regexp {
	const (
		pid     = `[0$](?:(?: :: (int8|bigint|text))? :: (?:int|int4|integer))?`
		timeout = `[0$](?: :: (?:int|int4|integer|int8|bigint))?`
	)
	return regexp.MustCompile(`^select (?:"?pg_catalog"? \. )?"?pg_(?:terminate|cancel)_backend"? \( ` + pid +
		`(?: , ` + timeout + `)? \)(?: (?:as )?"?\w+"?)?(?: ;)*$`)
}()

// SignalEach says that a script signals each process of an array that is its only
// parameter, as connection pools' own tests do.
func SignalEach(script *Script) bool {
	form := signalEach.FindStringSubmatch(outline(script))
	return form != nil && form[1] == form[2]
}

// signalEach is such a statement's outline. The submatches are one name.
var signalEach = regexp.MustCompile(`^select (?:pg_catalog \. )?pg_(?:terminate|cancel)_backend \( (\w+) \) ` +
	`from unnest \( \$(?: :: (?:int|int4|integer|int8|bigint) \[ \])? \) (?:as )?(\w+)(?: ;)*$`)

// Process reads the number of a process; 0 if it is none.
func Process(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// outline is the tokens of a script, one space apart: constants are 0, parameters
// are $, and words in lower case.
func outline(script *Script) string {
	var b strings.Builder
	lexer := lex.New([]byte(script.Text), script.Syntax)
	for t := lexer.Next(); t.Kind != lex.End && t.Kind != lex.Invalid; t = lexer.Next() {
		text := script.Text[t.Start:t.End]
		switch t.Kind {
		case lex.Comment:
			continue
		case lex.Integer, lex.String:
			text = "0"
		case lex.Parameter:
			text = "$"
		case lex.Word:
			text = strings.ToLower(text)
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(text)
	}
	return b.String()
}
