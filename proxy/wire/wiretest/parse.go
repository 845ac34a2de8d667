package wiretest

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// step is a line of a trace.
type step struct {
	at    string // file and line, for errors
	side  Side   // who does it
	verb  string // "message", or what is not one
	words []word // the rest of the line
	// Of a message:
	message *message
	// built is what is sent; nil if a wildcard stands in it.
	built  []byte
	repeat int
}

// String is the line.
func (s *step) String() string {
	name := s.verb
	if s.message != nil {
		name = s.message.name
	}
	return strings.TrimRight(fmt.Sprintf("%c: %s %s", s.side, name, line(s.words)), " ")
}

// Load reads a file of traces, in the order they stand there.
func Load(path string) ([]Script, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(content) > longestTrace {
		return nil, fmt.Errorf("read %s: longer than %d bytes", path, longestTrace)
	}
	return Parse(filepath.Base(path), string(content))
}

// Parse reads traces. A first one needs no "== name": it gets file's.
func Parse(file, content string) ([]Script, error) {
	scripts := []Script{{Name: file, fatal: -1}}
	for i, text := range strings.Split(content, "\n") {
		at := fmt.Sprintf("%s line %d", file, i+1)
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		if name, found := strings.CutPrefix(text, "== "); found {
			scripts = append(scripts, Script{Name: strings.TrimSpace(name), fatal: -1})
			continue
		}
		step, err := parseStep(text)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", at, err)
		}
		step.at = at
		last := &scripts[len(scripts)-1]
		last.steps = append(last.steps, step)
	}
	return slices.DeleteFunc(scripts, func(s Script) bool { return len(s.steps) == 0 }), nil
}

func parseStep(text string) (s step, err error) {
	if len(text) < 3 || text[1] != ':' || text[0] != 'C' && text[0] != 'S' {
		return s, fmt.Errorf(`%q begins neither with "C:" nor with "S:"`, text)
	}
	words, err := split(text[2:])
	if err == nil && len(words) == 0 {
		err = fmt.Errorf("an empty step")
	}
	if err != nil {
		return s, err
	}
	s = step{side: Side(text[0]), verb: words[0].text, words: words[1:], repeat: 1}
	return s, s.prepare()
}

// prepare checks the words of a step and builds what it sends.
func (s *step) prepare() error {
	switch s.verb {
	case "close", "reset":
		return s.wants(0)
	case "answer":
		return s.prepareAnswer()
	case "bytes":
		return s.prepareBytes()
	case "cut", "length", "repeat":
		return s.prepareNumbered()
	case "skip":
		return s.prepareSkip()
	case "TLS":
		return s.prepareTLS()
	case "authenticate":
		return s.prepareAuthenticate()
	}
	return s.prepareMessage()
}

func (s *step) wants(n int) error {
	if len(s.words) != n {
		return fmt.Errorf("%s wants %d words after it, not %d", s.verb, n, len(s.words))
	}
	return nil
}

func (s *step) prepareMessage() error {
	if s.message = findMessage(s.side, s.verb); s.message == nil {
		return fmt.Errorf("%c: there is no message or verb %q", s.side, s.verb)
	}
	s.verb = "message"
	if hasWildcard(s.words) {
		return nil
	}
	f := fields{words: s.words}
	s.built = s.message.build(nil, &f)
	if f.err == nil && len(f.words) > 0 {
		f.fail("too many fields")
	}
	if f.err != nil {
		return fmt.Errorf("%s: %w", s.message.name, f.err)
	}
	// As a player will see them, so that what is said twice can be compared.
	if words, err := s.message.read(s.body()); err == nil {
		s.words = words
	}
	return nil
}

// body of what was built.
func (s *step) body() []byte {
	if s.message.untagged() {
		return s.built[4:]
	}
	return s.built[5:]
}

func (s *step) prepareAnswer() error {
	if err := s.wants(1); err != nil {
		return err
	}
	if s.built = []byte(s.words[0].text); len(s.built) != 1 {
		return fmt.Errorf("answer wants one letter")
	}
	return nil
}

func (s *step) prepareBytes() error {
	for _, w := range s.words {
		digits, found := strings.CutPrefix(w.text, "0x")
		if !found {
			s.built = append(s.built, w.text...)
			continue
		}
		bytes, err := hex.DecodeString(digits)
		if err != nil {
			return fmt.Errorf("%v: %w", w, err)
		}
		s.built = append(s.built, bytes...)
	}
	return nil
}

// prepareNumbered: a verb, a number, a message.
func (s *step) prepareNumbered() error {
	if len(s.words) < 2 {
		return fmt.Errorf("%s wants a number and a message", s.verb)
	}
	n, err := strconv.ParseInt(s.words[0].text, 10, 32)
	if err != nil {
		return err
	}
	of := step{side: s.side, verb: s.words[1].text, words: s.words[2:], repeat: 1}
	if err := of.prepareMessage(); err != nil {
		return err
	}
	if s.verb == "repeat" {
		of.repeat = int(n)
		*s = of
		if n < 1 || n > mostRepeats {
			return fmt.Errorf("repeat: 1 to %d times", mostRepeats)
		}
		return nil
	}
	if of.built == nil {
		return fmt.Errorf("%s cannot be said of a message with wildcards", s.verb)
	}
	s.built, err = mutilate(s.verb, int(n), &of)
	return err
}

// mutilate cuts a message short, or replaces its length.
func mutilate(verb string, n int, of *step) ([]byte, error) {
	if verb == "cut" {
		if n < 0 || n > len(of.built) {
			return nil, fmt.Errorf("cut: the message has %d bytes", len(of.built))
		}
		return of.built[:n], nil
	}
	at := len(of.built) - len(of.body()) - 4
	return slices.Replace(of.built, at, at+4, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)), nil
}

func (s *step) prepareSkip() error {
	for _, w := range s.words {
		if m := findMessage(s.side, w.text); m == nil || m.untagged() {
			return fmt.Errorf("skip: there is no message %v", w)
		}
	}
	return nil
}
