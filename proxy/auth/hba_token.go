package auth

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of pool_hba.conf and the files it names with @.
const (
	maxHBAFile   = 8 << 20 // bytes
	includeDepth = 10      // PostgreSQL's
	maxTokens    = 100_000 // in one field
)

// token is a word of pool_hba.conf. Quotes take a keyword's meaning away.
type token struct {
	text   string
	quoted bool
}

func (t token) is(keyword string) bool { return !t.quoted && t.text == keyword }

// fields cuts a line: blanks part fields, commas part the tokens of one (with
// blanks after a comma if you like), # begins a comment.
func fields(line string) (list [][]token, err error) {
	goesOn := false // a comma ended the last token
	for {
		line = strings.TrimLeft(line, " \t\r\n\f\v")
		if line == "" || line[0] == '#' {
			return list, nil
		}
		t, rest, comma, err := nextToken(line)
		if err != nil {
			return nil, err
		}
		switch {
		case t.text == "" && !t.quoted: // nothing between two commas
		case goesOn && len(list) > 0:
			list[len(list)-1] = append(list[len(list)-1], t)
		default:
			list = append(list, []token{t})
		}
		line, goesOn = rest, comma
	}
}

// nextToken takes a token off a line that does not begin with a blank.
// Inside quotes, two quotes are one.
func nextToken(line string) (t token, rest string, comma bool, err error) {
	var b strings.Builder
	inQuotes := false
	i := 0
	t.quoted = line[0] == '"'
loop:
	for ; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '"' && inQuotes && i+1 < len(line) && line[i+1] == '"':
			i++
			b.WriteByte(c)
		case c == '"':
			inQuotes = !inQuotes
		case !inQuotes && c == ',':
			comma = true
			i++
			break loop
		case !inQuotes && strings.IndexByte(" \t\r\n\f\v#", c) >= 0:
			break loop
		default:
			b.WriteByte(c)
		}
	}
	if inQuotes {
		return t, "", false, errors.New("a quote is not closed")
	}
	t.text = b.String()
	return t, line[i:], comma, nil
}

// expand puts the words of files in the place of @file, as PostgreSQL does.
func expand(list []token, include func(string) (string, error), depth int) (out []token, err error) {
	for _, t := range list {
		if t.quoted || len(t.text) < 2 || t.text[0] != '@' {
			out = append(out, t)
			continue
		}
		words, err := readWords(t.text[1:], include, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, words...)
	}
	if len(out) > maxTokens {
		return nil, fmt.Errorf("more than %d names in a field", maxTokens)
	}
	return out, nil
}

func readWords(name string, include func(string) (string, error), depth int) (words []token, err error) {
	if depth > includeDepth {
		return nil, fmt.Errorf("@%s: files name each other more than %d deep", name, includeDepth)
	}
	text, err := include(name)
	if err != nil {
		return nil, fmt.Errorf("@%s: %w", name, err)
	}
	for line := range strings.Lines(text) {
		list, err := fields(line)
		if err != nil {
			return nil, fmt.Errorf("@%s: %w", name, err)
		}
		for _, field := range list {
			more, err := expand(field, include, depth)
			if err != nil {
				return nil, err
			}
			if words = append(words, more...); len(words) > maxTokens {
				return nil, fmt.Errorf("@%s: more than %d names", name, maxTokens)
			}
		}
	}
	return words, nil
}
