package wiretest

import (
	"fmt"
	"strconv"
	"strings"
)

// word is a field of a step. A special one stands for something: NULL, *, ...
// or [in:1].
type word struct {
	text    string
	special bool
}

func text[T ~string | ~[]byte](s T) word { return word{text: string(s)} }

func number[N ~int16 | ~int32 | ~uint32](n N) word {
	return word{text: strconv.FormatInt(int64(n), 10)}
}

// value is a value of a row: nil is NULL.
func value(v []byte) word {
	if v == nil {
		return word{text: "NULL", special: true}
	}
	return text(v)
}

func (w word) is(special string) bool { return w.special && w.text == special }

func isSpecial(bare string) bool {
	return bare == "NULL" || bare == "*" || bare == "..." || strings.HasPrefix(bare, "[")
}

// String writes the word as a trace would: in quotes only where it needs them.
func (w word) String() string {
	if w.special {
		return w.text
	}
	plain := w.text != "" && !isSpecial(w.text)
	for i := range len(w.text) {
		if c := w.text[i]; c <= ' ' || c == '"' || c == '\\' || c >= 0x7f {
			plain = false
		}
	}
	if plain {
		return w.text
	}
	return strconv.Quote(w.text)
}

func line(words []word) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = w.String()
	}
	return strings.Join(all, " ")
}

// split cuts a line into words. A word may have a part in quotes: a="b c".
func split(s string) (words []word, err error) {
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return words, nil
		}
		var w word
		if w, s, err = cutWord(s); err != nil {
			return nil, err
		}
		words = append(words, w)
	}
}

func cutWord(s string) (w word, rest string, err error) {
	quoted := false
	for s != "" && s[0] != ' ' && s[0] != '\t' {
		if s[0] != '"' {
			w.text += s[:1]
			s = s[1:]
			continue
		}
		prefix, err := strconv.QuotedPrefix(s)
		if err != nil {
			return w, "", fmt.Errorf("a quote is not closed: %s", s)
		}
		part, err := strconv.Unquote(prefix)
		if err != nil {
			return w, "", err
		}
		w.text, s, quoted = w.text+part, s[len(prefix):], true
	}
	w.special = !quoted && isSpecial(w.text)
	return w, s, nil
}

// match says whether got is what want describes.
func match(want, got []word) bool {
	for i, w := range want {
		switch {
		case w.is("..."):
			return true
		case i >= len(got):
			return false
		case !w.is("*") && w != got[i]:
			return false
		}
	}
	return len(want) == len(got)
}

func hasWildcard(words []word) bool {
	for _, w := range words {
		if w.is("*") || w.is("...") {
			return true
		}
	}
	return false
}
