package session

import (
	"encoding/binary"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// signal is the outline of a statement that signals and does nothing else. What
// is a parameter may first be cast from a wider type: that is the submatch.
var signal = func() *regexp.Regexp {
	const (
		pid     = `[0$](?:(?: :: (int8|bigint|text))? :: (?:int|int4|integer))?`
		timeout = `[0$](?: :: (?:int|int4|integer|int8|bigint))?`
	)
	return regexp.MustCompile(`^select (?:"?pg_catalog"? \. )?"?pg_(?:terminate|cancel)_backend"? \( ` + pid +
		`(?: , ` + timeout + `)? \)(?: (?:as )?"?\w+"?)?(?: ;)*$`)
}()

// outline is the tokens of a script, one space apart: constants are 0, parameters
// are $, and words in lower case.
func outline(script *query.Script) string {
	var b strings.Builder
	lexer := query.NewLexer([]byte(script.Text), script.Syntax)
	for t := lexer.Next(); t.Kind != query.End && t.Kind != query.Invalid; t = lexer.Next() {
		text := script.Text[t.Start:t.End]
		switch t.Kind {
		case query.Comment:
			continue
		case query.Integer, query.String:
			text = "0"
		case query.Parameter:
			text = "$"
		case query.Word:
			text = strings.ToLower(text)
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(text)
	}
	return b.String()
}

// bound is the number that a Bind gives a parameter of the statement. Not known:
// it gives none, or not as one would. from is the type that the parameter is cast
// from in the text; "": integer.
func (st *statement) bound(bind []byte, parameter int, from string) (n int64, known bool) {
	v, err := wire.ViewBind(bind)
	if err != nil || parameter >= v.Params.Len() {
		return 0, false
	}
	value := slices.Collect(v.Params.All())[parameter]
	switch declared := st.declared(parameter); {
	case !v.Binary(parameter), declared == oidText, declared == oidVarchar, declared == 0 && from == "text":
		return number(string(value)), true
	}
	return binaryNumber(value)
}

// Types that the client may declare the parameter to be. All others of one of
// binaryNumber's lengths are read as integers.
const (
	oidText    = 25
	oidUnknown = 705 // says nothing
	oidVarchar = 1043
)

// declared is the type that the Parse gave a parameter; 0: none.
func (st *statement) declared(parameter int) uint32 {
	v, err := wire.ViewParse([]byte("\x00" + st.text))
	if err != nil || parameter >= v.Types.Len() || v.Types.At(parameter) == oidUnknown {
		return 0
	}
	return v.Types.At(parameter)
}

func binaryNumber(value []byte) (n int64, known bool) {
	switch len(value) {
	case 2:
		return int64(int16(binary.BigEndian.Uint16(value))), true
	case 4:
		return int64(int32(binary.BigEndian.Uint32(value))), true
	case 8:
		n = int64(binary.BigEndian.Uint64(value))
		return n, n == int64(int32(n))
	}
	return 0, false
}

// number reads a process's number; 0: it is none.
func number(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0
	}
	return n
}
