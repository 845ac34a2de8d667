package auth

import (
	"fmt"
	"regexp"
	"strings"
)

// token is a word of pool_hba.conf. In quotes a keyword has no special meaning.
type token struct {
	text   string
	quoted bool           // a quote is its first character
	match  *regexp.Regexp // the compiled regular expression of a name that begins with a slash
}

func (t token) is(keyword string) bool { return !t.quoted && t.text == keyword }

// members is the role of +role, which stands for all its members.
func (t token) members() (role string, is bool) {
	if t.quoted {
		return "", false
	}
	return strings.CutPrefix(t.text, "+")
}

// file is the name of @file, which stands for the words in it.
func (t token) file() (name string, is bool) {
	name, is = strings.CutPrefix(t.text, "@")
	return name, is && name != "" && !t.quoted
}

// compiled compiles the regular expression of a name that begins with a slash, also in
// quotes, which it needs if it has a comma.
func (t token) compiled() (token, error) {
	expression, is := strings.CutPrefix(t.text, "/")
	if !is {
		return t, nil
	}
	var err error
	if t.match, err = regexp.Compile(expression); err != nil {
		return t, fmt.Errorf("invalid regular expression %q: %w", expression, err)
	}
	return t, nil
}

// blanks separate fields.
const blanks = " \t\r"

// fields cuts a line. Blanks separate fields, commas separate the tokens of one (blanks
// may follow a comma), and # outside of quotes begins a comment. A quote that is not
// closed ends with the line, as in PostgreSQL; open says so.
func fields(line string) (list [][]token, open bool) {
	s := scanner{rest: line}
	for goesOn := false; ; goesOn = s.comma {
		t, found := s.next()
		open = open || s.open
		switch {
		case !found:
			return list, open
		case goesOn:
			list[len(list)-1] = append(list[len(list)-1], t)
		default:
			list = append(list, []token{t})
		}
	}
}

// scanner reads tokens from a line.
type scanner struct {
	rest  string
	comma bool // the byte that ended the last token
	open  bool // a quote of the last token is not closed
}

// next reads one token; commas before it mean nothing. Inside quotes, two quotes stand
// for one.
func (s *scanner) next() (t token, found bool) {
	s.rest = strings.TrimLeft(s.rest, blanks+",")
	line := s.rest
	var b strings.Builder
	inQuotes := false
	i := 0
	for ; i < len(line) && (inQuotes || strings.IndexByte(blanks+",#", line[i]) < 0); i++ {
		switch {
		case line[i] == '"' && inQuotes && strings.HasPrefix(line[i+1:], `"`):
			i++
			b.WriteByte('"')
		case line[i] == '"':
			inQuotes, found = !inQuotes, true
		default:
			b.WriteByte(line[i])
		}
	}
	s.rest, s.open = line[i:], inQuotes
	s.comma = strings.HasPrefix(s.rest, ",")
	if strings.HasPrefix(s.rest, "#") {
		s.rest = ""
	}
	t.text, t.quoted = b.String(), strings.HasPrefix(line, `"`)
	return t, found || t.text != ""
}
