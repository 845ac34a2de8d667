package pool

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A scenario in testdata/home is a list of lines. Indented lines are what the allocator wants done because of the
// line above them, in order:
//
//	case NAME                     begins a case, with an empty allocator
//	limits node=2 db=1 user=3     where none is given there is no limit
//	ask w0 s1 1/app/alice         session 1 of worker 0 wants a server of node 1
//	  open w0 for s1              worker 0 opens a server
//	  move w1 to w0 s1            worker 1 moves an idle server to that session
//	  evict w1 1/app/bob          worker 1 closes an idle server
//	again w0 s1                   the move found no server, so the ticket returns to its old place
//	withdraw w0 s1                this session no longer waits
//	spare w1 1/app/alice          worker 1 has an idle server
//	gone 1/app/alice              a server was closed, or could not be opened
//	kept 1/app/alice              an evict found no server
//	reserve 1/app/alice           whether one more may be opened, for no session: yes or no
//	state: open 2, waiting 1, spares 0
func TestHomeScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/home/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playScenarios(t, string(text)) })
	}
}

// step is a line and what is indented below it.
type step struct {
	number int
	line   string
	want   []string
}

func playScenarios(t *testing.T, text string) {
	p := &scenario{}
	for _, s := range steps(text) {
		if name, ok := strings.CutPrefix(s.line, "case "); ok {
			p = &scenario{name: name, home: NewAllocator(Limits{}), moved: map[string]Ticket{}}
			continue
		}
		if p.home == nil {
			t.Fatalf("line %d: no case has begun", s.number)
		}
		got, err := p.do(s.line)
		if err != nil || !slices.Equal(got, s.want) {
			t.Fatalf("line %d: case %s: %s: got %q, want %q, error %v", s.number, p.name, s.line, got, s.want, err)
		}
	}
}

func steps(text string) (all []step) {
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		switch {
		case strings.TrimSpace(line) == "":
		case line[0] == ' ':
			last := &all[len(all)-1]
			last.want = append(last.want, strings.TrimSpace(line))
		default:
			all = append(all, step{number: i + 1, line: strings.TrimSpace(line)})
		}
	}
	return all
}

type scenario struct {
	name  string
	home  *Allocator
	moved map[string]Ticket // the tickets of moves, by worker and session
}

func (p *scenario) do(line string) ([]string, error) {
	words := strings.Fields(line)
	n, session := 0, 0
	for _, word := range words[1:] {
		if v, err := strconv.Atoi(word[1:]); err == nil && word[0] == 'w' {
			n = v
		} else if err == nil && word[0] == 's' {
			session = v
		}
	}
	last := words[len(words)-1]
	switch words[0] {
	case "limits":
		return p.told(p.home.SetLimits(parseLimits(words[1:]))), nil
	case "ask":
		return p.told(p.home.Ask(Ticket{Key: parseKey(last), Worker: n, Session: uint32(session)})), nil
	case "again":
		return p.told(p.home.AskAgain(p.moved[fmt.Sprint(n, session)])), nil
	case "withdraw":
		p.home.Withdraw(n, uint32(session))
		return nil, nil
	case "spare":
		return p.told(p.home.Spare(parseKey(last), n)), nil
	case "gone":
		return p.told(p.home.Gone(parseKey(last))), nil
	case "kept":
		return p.told(p.home.Kept(parseKey(last))), nil
	case "reserve":
		return []string{map[bool]string{true: "yes", false: "no"}[p.home.Reserve(parseKey(last))]}, nil
	case "state:":
		got := fmt.Sprintf("state: open %d, waiting %d, spares %d", p.home.Total(), p.home.Waiting(), len(p.home.spares))
		if got != line {
			return []string{got}, nil
		}
		return nil, nil
	}
	return nil, fmt.Errorf("no such step")
}

// told writes actions in the words of the scenarios.
func (p *scenario) told(actions []Action) (lines []string) {
	for _, a := range actions {
		t := a.Ticket
		p.moved[fmt.Sprint(t.Worker, t.Session)] = t
		switch a.Deed {
		case Open:
			lines = append(lines, fmt.Sprintf("open w%d for s%d", a.Worker, t.Session))
		case Move:
			lines = append(lines, fmt.Sprintf("move w%d to w%d s%d", a.Worker, t.Worker, t.Session))
		case Evict:
			lines = append(lines, fmt.Sprintf("evict w%d %d/%s/%s", a.Worker, t.Key.Node, t.Key.Target().Database, t.Key.Target().User))
		}
	}
	return lines
}

// parseKey reads node/database/user.
func parseKey(s string) Key {
	parts := strings.Split(s, "/")
	node, _ := strconv.Atoi(parts[0])
	return Target{Database: parts[1], User: parts[2]}.On(node)
}

func parseLimits(words []string) (l Limits) {
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "node":
			l.Node = n
		case "db":
			l.Database = n
		case "user":
			l.User = n
		}
	}
	return l
}

func TestClosedTwicePanics(t *testing.T) {
	h := NewAllocator(Limits{})
	defer func() {
		if recover() == nil {
			t.Error("a counter has gone below zero")
		}
	}()
	h.Gone(Key{})
}
