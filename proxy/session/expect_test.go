package session

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgherd/proxy/wire"
)

// traceGuide says how the files in testdata/expect are read. Each is a list of
// cases; a case is a conversation, one line a step, and what the list of
// expected replies makes of it:
//
//	case NAME                 begins a case
//	> Parse                   a request was sent to the server on the client's behalf
//	> Query swallow           pgherd sent one of its own
//	> Sync x3                 three of them
//	local "x" now             pgherd has an answer of its own: nothing is owed, it is sent
//	local "x" later           it waits for its turn
//	local "x" dropped         the server would skip the request, so nobody answers
//	beside "x" later          as local, of words that come before the next request's reply
//	< ParseComplete forward   a whole reply came, and whose it is: forward or swallow
//	< BindComplete violation  it may not come now
//	answer "x"                the turn of that answer has come, right after this reply
//	state: owed 2, skipping   exactly this is still owed; "empty" is nothing (I2)
//	coming, not coming        replies will come without another request, or not
//	full, not full            the client is not read any more, or is
//	within, not within        a transaction may be open that a Sync would end, or none
const traceGuide = "see traceGuide in expect_test.go"

// play is one case being played.
type play struct {
	expectation
	turns []string // answers whose turn has come, not yet mentioned
}

func TestExpectTraces(t *testing.T) {
	files, err := filepath.Glob("testdata/expect/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no traces", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playFile(t, file, string(text)) })
	}
}

func playFile(t *testing.T, file, text string) {
	var p *play
	name, cases := "", 0
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if began, ok := strings.CutPrefix(line, "case "); ok {
			p.finish(t, file, name)
			p, name, cases = &play{}, began, cases+1
			continue
		}
		if p == nil {
			t.Fatalf("%s:%d: no case has begun; %s", file, i+1, traceGuide)
		}
		if err := p.step(line); err != nil {
			t.Fatalf("%s:%d: case %s: %s: %v", file, i+1, name, line, err)
		}
	}
	p.finish(t, file, name)
	if cases == 0 {
		t.Fatalf("%s: no case", file)
	}
}

func (p *play) finish(t *testing.T, file, name string) {
	if p != nil && len(p.turns) > 0 {
		t.Fatalf("%s: case %s: %q is sent and the trace does not say so", file, name, p.turns)
	}
}

func (p *play) step(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	if len(p.turns) > 0 && verb != "answer" {
		return fmt.Errorf("before it, %q is sent", p.turns)
	}
	switch verb {
	case ">":
		return p.request(strings.Fields(rest))
	case "<":
		return p.reply(strings.Fields(rest))
	case "local", "beside":
		return p.local(rest, verb == "beside")
	case "answer":
		return p.turn(rest)
	case "state:":
		return same(p.state(), rest)
	case "coming":
		return same(p.coming(), true)
	case "full":
		return same(p.full(), true)
	case "within":
		return same(p.within(), true)
	case "not":
		return same(map[string]bool{"coming": p.coming(), "full": p.full(), "within": p.within()}[rest], false)
	}
	return fmt.Errorf("no such step; %s", traceGuide)
}

func same[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("it is %v", got)
	}
	return nil
}

func (p *play) request(words []string) error {
	kind, err := kindOf(words[0], wire.RequestKind)
	if err != nil {
		return err
	}
	w, times := forward, 1
	for _, word := range words[1:] {
		if n, ok := strings.CutPrefix(word, "x"); ok {
			times, err = strconv.Atoi(n)
		} else if word == "swallow" {
			w = swallow
		} else {
			err = fmt.Errorf("%q is not understood", word)
		}
	}
	for range times {
		p.add(kind, w, nil)
	}
	return err
}

func (p *play) reply(words []string) error {
	kind, err := kindOf(words[0], wire.ReplyKind)
	if err != nil {
		return err
	}
	if len(words) != 2 {
		return fmt.Errorf("whose is it?")
	}
	w, err := p.admit(kind)
	if err != nil {
		return same("violation", words[1])
	}
	p.settle(kind)
	for a, ok := p.nextLocal(); ok; a, ok = p.nextLocal() {
		p.turns = append(p.turns, string(a.bytes))
	}
	return same(map[whose]string{forward: "forward", swallow: "swallow", local: "local"}[w], words[1])
}

func (p *play) local(rest string, beside bool) error {
	quoted, when, _ := strings.Cut(rest, " ")
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return err
	}
	before := p.locals.len()
	switch {
	case p.expectation.answer(answer{bytes: []byte(name), beside: beside}, false):
		return same("now", when)
	case p.locals.len() == before:
		return same("dropped", when)
	default:
		return same("later", when)
	}
}

func (p *play) turn(quoted string) error {
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return err
	}
	if len(p.turns) == 0 || p.turns[0] != name {
		return fmt.Errorf("what is sent: %q", p.turns)
	}
	p.turns = p.turns[1:]
	return nil
}

func (p *play) state() string {
	words := []string{fmt.Sprint("owed ", p.list.len())}
	if p.empty() {
		words[0] = "empty"
	}
	for word, is := range map[string]bool{"skipping": p.skipping, "copying": p.copying, "uncertain": p.uncertain} {
		if is {
			words = append(words, word)
		}
	}
	slices.Sort(words[1:])
	return strings.Join(words, ", ")
}

// kindOf finds a kind by its name in the specification.
func kindOf(name string, find func(byte) wire.Kind) (wire.Kind, error) {
	for tag := range 256 {
		if kind := find(byte(tag)); kind != wire.Unknown && kind.String() == name {
			return kind, nil
		}
	}
	return wire.Unknown, fmt.Errorf("there is no message %q in that direction", name)
}
