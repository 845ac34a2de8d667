package config

import (
	"errors"
	"strings"
)

// blank is what separates words; \r so that files with DOS line ends work.
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

// cutValue takes a quoted string or a bare word off the front of s, which is not empty.
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

// cutQuoted reads up to the closing quote: ” is a quote, a backslash begins an escape as in postgresql.conf.
func cutQuoted(s string) (value, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'' && strings.HasPrefix(s[i+1:], "'"):
			b.WriteByte('\'')
			i++
		case s[i] == '\'':
			return b.String(), s[i+1:], nil
		case s[i] == '\\' && i+1 < len(s):
			c, used := unescape(s[i+1:])
			b.WriteByte(c)
			i += used
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", errors.New("has no closing quote")
}

// unescape reads what follows a backslash: \b \f \n \r \t, up to three octal digits, or the byte itself.
func unescape(s string) (c byte, used int) {
	if i := strings.IndexByte("bfnrt", s[0]); i >= 0 {
		return "\b\f\n\r\t"[i], 1
	}
	for used < min(3, len(s)) && s[used] >= '0' && s[used] <= '7' {
		c = c<<3 | (s[used] - '0')
		used++
	}
	if used == 0 {
		return s[0], 1
	}
	return c, used
}
