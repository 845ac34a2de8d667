package config

import (
	"errors"
	"strings"
)

// blank are the bytes that separate words; \r is one, so that files with DOS line ends
// work.
const blank = " \t\r\n\f\v"

// parseLine splits one line into name and value. A line without either gives two empty strings.
// Errors never repeat what follows the name: it may be a password (I9).
func parseLine(s string) (name, value string, err error) {
	s = strings.TrimLeft(s, blank)
	if s == "" || s[0] == '#' {
		return "", "", nil
	}
	name, rest := cutName(s)
	if name == "" {
		return "", "", errors.New("line does not begin with a parameter's name")
	}
	after := strings.TrimLeft(rest, blank)
	equals := strings.HasPrefix(after, "=")
	if equals {
		after = strings.TrimLeft(after[1:], blank)
	}
	if after == "" || after[0] == '#' {
		return name, "", errors.New(excerpt(name) + " has no value")
	}
	if !equals && after == rest && after[0] != '\'' {
		return name, "", errors.New("expected = or a space after " + excerpt(name))
	}
	value, rest, err = cutValue(after)
	if err != nil {
		return name, "", errors.New("value of " + excerpt(name) + " " + err.Error())
	}
	if rest = strings.TrimLeft(rest, blank); rest != "" && rest[0] != '#' {
		return name, "", errors.New("unexpected text after the value of " + excerpt(name) + "; a value with spaces needs 'quotes'")
	}
	return name, value, nil
}

func cutName(s string) (name, rest string) {
	end := 0
	for end < len(s) && isNameByte(s[end]) && (end > 0 || !isDigit(s[end])) {
		end++
	}
	return s[:end], s[end:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNameByte(c byte) bool {
	return c == '_' || c == '.' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// cutValue removes a quoted string or a bare word from the front of s, which is not
// empty.
func cutValue(s string) (value, rest string, err error) {
	if s[0] == '\'' {
		return cutQuoted(s[1:])
	}
	end := strings.IndexAny(s, blank+"#")
	if end < 0 {
		end = len(s)
	}
	if strings.Contains(s[:end], "'") {
		return "", "", errors.New("has a quote in the middle")
	}
	return s[:end], s[end:], nil
}

// cutQuoted reads up to the closing quote as Pgpool-II does: nothing inside is changed, and a quote
// after a backslash is inside if another one follows. It reads a doubled quote, which Pgpool-II refuses,
// as one.
func cutQuoted(s string) (value, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && strings.HasPrefix(s[i+1:], "'") && strings.Contains(s[i+2:], "'"):
			b.WriteString(s[i : i+2])
			i++
		case s[i] == '\'' && strings.HasPrefix(s[i+1:], "'"):
			b.WriteByte('\'')
			i++
		case s[i] == '\'':
			return b.String(), s[i+1:], nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", errors.New("has no closing quote")
}

// quote is the inverse of cutQuoted.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for i := range len(text) {
		if text[i] == '\'' && (i == 0 || text[i-1] != '\\') {
			b.WriteByte('\'')
		}
		b.WriteByte(text[i])
	}
	b.WriteByte('\'')
	return b.String()
}
