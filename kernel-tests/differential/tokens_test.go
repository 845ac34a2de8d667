package differential

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// token is a word or a quoted string; a quoted one is never a keyword.
type token struct {
	text   string
	quoted bool
}

// tokenize splits a line at blanks. Strings are quoted as in Go, and # begins a comment.
func tokenize(line string) ([]token, error) {
	var all []token
	for {
		line = strings.TrimLeft(line, " \t")
		switch {
		case line == "" || line[0] == '#':
			return all, nil
		case line[0] == '"' || line[0] == '`':
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("string that does not end: %s", line)
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			all = append(all, token{text, true})
			line = line[len(quoted):]
		default:
			end := strings.IndexAny(line+" ", " \t")
			all = append(all, token{text: line[:end]})
			line = line[end:]
		}
	}
}

// arguments are the tokens of a line that have not been used yet. A missing one reads as "?", which end reports.
type arguments []token

func (a *arguments) more() bool { return len(*a) > 0 }

func (a *arguments) next() string {
	if !a.more() {
		*a = append(*a, token{text: "missing"}, token{text: "missing"})
	}
	text := (*a)[0].text
	*a = (*a)[1:]
	return text
}

func (a *arguments) number() int {
	n, err := strconv.Atoi(a.next())
	if err != nil {
		*a = append(*a, token{text: "not a number"})
	}
	return n
}

func (a *arguments) numbers() []uint32 {
	var all []uint32
	for a.more() {
		all = append(all, uint32(a.number()))
	}
	return all
}

// values reads "text", null and 0xHEX (binary) up to "->" or the end of the line.
func (a *arguments) values() (values [][]byte, formats []int16) {
	for a.more() && (*a)[0] != (token{text: "->"}) {
		t := (*a)[0]
		*a = (*a)[1:]
		format := int16(0)
		value := []byte(t.text)
		switch digits, binary := strings.CutPrefix(t.text, "0x"); {
		case t.quoted:
		case t.text == "null":
			value = nil
		case binary:
			format = 1
			decoded, err := hex.DecodeString(digits)
			if err != nil {
				*a = append(*a, token{text: err.Error()})
			}
			value = append([]byte{}, decoded...)
		default:
			*a = append(*a, token{text: "value that is not quoted: " + t.text})
			return values, formats
		}
		values, formats = append(values, value), append(formats, format)
	}
	return values, formats
}

// formats reads the codes after "->": 0 is text, 1 is binary.
func (a *arguments) formats() []int16 {
	if !a.more() || (*a)[0].text != "->" {
		return nil
	}
	a.next()
	var all []int16
	for a.more() {
		all = append(all, int16(a.number()))
	}
	return all
}

func (a *arguments) end() error {
	if a.more() {
		return fmt.Errorf("unexpected %q", (*a)[0].text)
	}
	return nil
}
