package nodesql

import (
	"slices"
	"strconv"
	"strings"
)

// Conninfo is a connection string of libpq's in its form of keywords and values (34.1.1.1
// in PostgreSQL's manual), in the order in which they stand.
type Conninfo []pair

type pair struct{ keyword, value string }

// ParseConninfo reads what PostgreSQL has accepted; of anything else it reads what it can.
func ParseConninfo(text string) (c Conninfo) {
	for {
		text = strings.TrimLeft(text, blanks)
		keyword, rest, found := strings.Cut(text, "=")
		if !found {
			return c
		}
		var value string
		value, text = cutValue(strings.TrimLeft(rest, blanks))
		c = append(c, pair{strings.TrimRight(keyword, blanks), value})
	}
}

const blanks = " \t\r\n\f\v"

// cutValue reads a value, which may stand in single quotes, and what follows it.
func cutValue(text string) (value, rest string) {
	quoted := strings.HasPrefix(text, "'")
	if quoted {
		text = text[1:]
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case quoted && c == '\'', !quoted && strings.IndexByte(blanks, c) >= 0:
			return b.String(), text[i+1:]
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// String is the connection string; what it says is what ParseConninfo has read.
func (c Conninfo) String() string {
	words := make([]string, len(c))
	for i, p := range c {
		words[i] = p.keyword + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(p.value) + "'"
	}
	return strings.Join(words, " ")
}

// At is the same connection to another address. What says how to log in stays.
func (c Conninfo) At(host string, port int) Conninfo {
	address := []string{"host", "hostaddr", "port"}
	others := slices.DeleteFunc(slices.Clone(c), func(p pair) bool { return slices.Contains(address, p.keyword) })
	return append(others, pair{"host", host}, pair{"port", strconv.Itoa(port)})
}

// With is the same connection with a keyword that has this value.
func (c Conninfo) With(keyword, value string) Conninfo {
	others := slices.DeleteFunc(slices.Clone(c), func(p pair) bool { return p.keyword == keyword })
	return append(others, pair{keyword, value})
}

// Get is the value of a keyword; "": it has none. The last one counts.
func (c Conninfo) Get(keyword string) (value string) {
	for _, p := range c {
		if p.keyword == keyword {
			value = p.value
		}
	}
	return value
}
