package expect

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

// traceGuide says how the files in testdata/traces are read. Each is a list of cases. A case is a
// conversation, with a step on each line, and what the list of expected replies makes of it.
//
//	case NAME                 begins a case
//	> Parse                   a request was sent to the server on the client's behalf
//	> Query swallow           pgherd sent a request of its own
//	> Sync x3                 three such requests
//	local "x" now             pgherd has an answer of its own: nothing is owed, it is sent
//	local "x" later           the answer waits for its turn
//	local "x" dropped         the server would skip the request, so pgherd does not answer it
//	beside "x" later          as local, for an answer that comes before the next request's reply
//	< ParseComplete forward   a whole reply came, which is forwarded or swallowed
//	< BindComplete violation  this reply may not come now
//	answer "x"                the turn of that answer has come, right after this reply
//	state: owed 2, skipping   exactly this is still owed; "empty" is nothing (I2)
//	coming, not coming        replies will come without another request, or not
//	full, not full            the client is no longer read, or is read
//	within, not within        a transaction may be open that a Sync would end, or none
const traceGuide = "see traceGuide in trace_test.go"

// play is one case being played.
type play struct {
	List
	turns []string // answers whose turn has come and that were not printed yet
}

func TestExpectTraces(t *testing.T) {
	files, err := filepath.Glob("testdata/traces/*.txt")
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
		t.Fatalf("%s: case %s: %q is sent, but the trace does not say so", file, name, p.turns)
	}
}

func (p *play) step(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	if len(p.turns) > 0 && verb != "answer" {
		return fmt.Errorf("%q is sent before it", p.turns)
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
		return same(p.RepliesPending(), true)
	case "full":
		return same(p.Full(), true)
	case "within":
		return same(p.InExtended(), true)
	case "not":
		return same(map[string]bool{"coming": p.RepliesPending(), "full": p.Full(), "within": p.InExtended()}[rest], false)
	}
	return fmt.Errorf("no such step; %s", traceGuide)
}

func same[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("got %v", got)
	}
	return nil
}

func (p *play) request(words []string) error {
	kind, err := kindOf(words[0], wire.RequestKind)
	if err != nil {
		return err
	}
	w, times := Forward, 1
	for _, word := range words[1:] {
		if n, ok := strings.CutPrefix(word, "x"); ok {
			times, err = strconv.Atoi(n)
		} else if word == "swallow" {
			w = Swallow
		} else {
			err = fmt.Errorf("%q is not understood", word)
		}
	}
	for range times {
		p.Add(kind, w, nil)
	}
	return err
}

func (p *play) reply(words []string) error {
	kind, err := kindOf(words[0], wire.ReplyKind)
	if err != nil {
		return err
	}
	if len(words) != 2 {
		return fmt.Errorf("the line lacks forward, swallow or local")
	}
	w, err := p.Admit(kind)
	if err != nil {
		return same("violation", words[1])
	}
	p.Settle(kind)
	for a, ok := p.NextLocal(); ok; a, ok = p.NextLocal() {
		p.turns = append(p.turns, string(a.Bytes))
	}
	return same(map[Disposition]string{Forward: "forward", Swallow: "swallow", Local: "local"}[w], words[1])
}

func (p *play) local(rest string, beside bool) error {
	quoted, when, _ := strings.Cut(rest, " ")
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return err
	}
	before := p.locals.Len()
	switch {
	case p.List.Answer(Answer{Bytes: []byte(name), Beside: beside}, false):
		return same("now", when)
	case p.locals.Len() == before:
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
		return fmt.Errorf("sent was %q", p.turns)
	}
	p.turns = p.turns[1:]
	return nil
}

func (p *play) state() string {
	words := []string{fmt.Sprint("owed ", p.list.Len())}
	if p.Empty() {
		words[0] = "empty"
	}
	for word, is := range map[string]bool{"skipping": p.Skipping, "copying": p.copying, "uncertain": p.Uncertain} {
		if is {
			words = append(words, word)
		}
	}
	slices.Sort(words[1:])
	return strings.Join(words, ", ")
}

// kindOf returns the kind that has this name in the specification.
func kindOf(name string, find func(byte) wire.Kind) (wire.Kind, error) {
	for tag := range 256 {
		if kind := find(byte(tag)); kind != wire.Unknown && kind.String() == name {
			return kind, nil
		}
	}
	return wire.Unknown, fmt.Errorf("there is no message %q in that direction", name)
}
