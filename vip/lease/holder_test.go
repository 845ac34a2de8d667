package lease

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// three is member 0 of three. Its random numbers are the largest possible.
func three(t *testing.T, now time.Duration) *Lease { return member0(t, now, 0, 1, 2) }

func member0(t *testing.T, now time.Duration, members ...Member) *Lease {
	t.Helper()
	l, err := New(Settings{Limits{DefaultLease, DefaultMargin}, 0, List{7, members}, 0xA,
		func(below time.Duration) time.Duration { return below }}, now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wordsOf(m Message) string {
	switch m.Kind {
	case Ask:
		return fmt.Sprintf("ask %d", m.Round.Number)
	case Promise:
		return fmt.Sprintf("promise %d", m.Round.Number)
	case Refuse:
		if m.List != 0 {
			return fmt.Sprintf("refuse: list %d is later", m.List)
		}
		return fmt.Sprintf("refuse: %d has it for %v", m.To, m.Left)
	}
	return fmt.Sprintf("release %d", m.Round.Number)
}

// words are a Step's, what is sent to several members being said once.
func words(s Step) string {
	var all []string
	for _, sent := range s.Send {
		if text := wordsOf(sent.Message); len(all) == 0 || all[len(all)-1] != text {
			all = append(all, text)
		}
	}
	if s.Answer != 0 {
		all = append(all, fmt.Sprintf("answer until %v", s.Answer))
	}
	if s.Silence {
		all = append(all, "silence")
	}
	if s.Remove {
		all = append(all, "remove")
	}
	return strings.Join(all, ", ")
}

// happens is one thing that member 0 is told, and what it wants done.
type happens struct {
	at   time.Duration
	what func(l *Lease, at time.Duration) Step
	want string
}

func told(hold bool) func(*Lease, time.Duration) Step {
	return func(l *Lease, at time.Duration) Step { return l.Tell(hold, at) }
}

func promised(by Member, round uint64) func(*Lease, time.Duration) Step {
	return func(l *Lease, at time.Duration) Step {
		return l.Receive(by, Message{Kind: Promise, Round: first(round)}, at)
	}
}

func refused(by Member, round uint64) func(*Lease, time.Duration) Step {
	return func(l *Lease, at time.Duration) Step {
		return l.Receive(by, Message{Kind: Refuse, Round: first(round), To: 2, Left: 300 * ms}, at)
	}
}

func asked(by Member, round uint64) func(*Lease, time.Duration) Step {
	return func(l *Lease, at time.Duration) Step {
		return l.Receive(by, Message{Kind: Ask, Round: second(round), List: 7}, at)
	}
}

func released(by Member, round uint64) func(*Lease, time.Duration) Step {
	return func(l *Lease, at time.Duration) Step {
		return l.Receive(by, Message{Kind: Release, Round: second(round)}, at)
	}
}

func turn(l *Lease, at time.Duration) Step    { return l.Turn(at) }
func silenced(l *Lease, _ time.Duration) Step { return l.Silenced() }
func gone(l *Lease, _ time.Duration) Step     { return l.Removed() }
func of(other uint64) func(*Lease, time.Duration) Step { // a promise to another life of this member
	return func(l *Lease, at time.Duration) Step {
		return l.Receive(1, Message{Kind: Promise, Round: second(other)}, at)
	}
}

// adopts is a later list of members.
func adopts(number uint64, members ...Member) func(*Lease, time.Duration) Step {
	return func(l *Lease, at time.Duration) Step {
		step, err := l.Adopt(List{number, members}, at)
		if err != nil {
			panic(err)
		}
		return step
	}
}

func askedBy(list uint64, by Member, round uint64) func(*Lease, time.Duration) Step {
	return func(l *Lease, at time.Duration) Step {
		return l.Receive(by, Message{Kind: Ask, Round: second(round), List: list}, at)
	}
}

var holds = []struct {
	name    string
	members []Member
	happens []happens
}{
	{"the deadline counts from before it asked, and not from the answer", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1050 * ms, promised(1, 1), "answer until 1.37s"},
	}},
	{"it asks each fifth of a lease, and the deadline moves with each round", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(1, 1), "answer until 1.37s"},
		{1079 * ms, turn, ""},
		{1080 * ms, turn, "ask 2"},
		{1081 * ms, promised(2, 2), "answer until 1.45s"},
		{1082 * ms, promised(1, 2), ""},
	}},
	{"one of five is no majority, nor are two", []Member{0, 1, 2, 3, 4}, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(1, 1), ""},
		{1002 * ms, promised(1, 1), ""},
		{1003 * ms, promised(4, 1), "answer until 1.37s"},
	}},
	{"two of four are no majority", []Member{0, 1, 2, 3}, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(1, 1), ""},
		{1002 * ms, promised(3, 1), "answer until 1.37s"},
	}},
	{"a promise of an older round does not count", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1080 * ms, turn, "ask 2"},
		{1081 * ms, promised(1, 1), ""},
		{1082 * ms, promised(2, 2), "answer until 1.45s"},
	}},
	{"a promise to the life before does not count", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, of(1), ""},
	}},
	{"nor does a promise of who is no member", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(5, 1), ""},
		{1001 * ms, promised(0, 1), ""},
	}},
	{"a promise that is read after its deadline gives none", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1370 * ms, promised(1, 1), ""},
	}},
	{"its own promise waits for a lease from the start, too", nil, []happens{
		{399 * ms, told(true), "release 1"},
		{518 * ms, turn, ""},
		{519 * ms, turn, "ask 2"},
	}},
	{"one alone waits for a lease from the start", []Member{0}, []happens{
		{399 * ms, told(true), ""},
		{519 * ms, turn, "answer until 889ms"},
	}},
	{"it silences, removes and tells, one after the other", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(1, 1), "answer until 1.37s"},
		{1010 * ms, told(false), "silence"},
		{1011 * ms, gone, ""},
		{1012 * ms, turn, ""},
		{1013 * ms, silenced, "remove"},
		{1014 * ms, silenced, ""},
		{1015 * ms, gone, "release 1"},
		{1016 * ms, gone, ""},
	}},
	{"its own promise ends after the address is removed, and not before", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(1, 1), "answer until 1.37s"},
		{1010 * ms, told(false), "silence"},
		{1011 * ms, silenced, "remove"},
		{1011 * ms, asked(1, 1), "refuse: 0 has it for 389ms"},
		{1012 * ms, gone, "release 1"},
		{1012 * ms, asked(1, 2), "promise 2"},
	}},
	{"a promise that comes while it releases does not set the deadline again", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(1, 1), "answer until 1.37s"},
		{1080 * ms, turn, "ask 2"},
		{1081 * ms, told(false), "silence"},
		{1082 * ms, promised(1, 2), ""},
		{1083 * ms, silenced, "remove"},
		{1084 * ms, promised(1, 2), ""},
		{1085 * ms, gone, "release 2"},
		{1086 * ms, promised(1, 2), ""},
	}},
	{"told again while it releases, it asks only after the release", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(1, 1), "answer until 1.37s"},
		{1010 * ms, told(false), "silence"},
		{1011 * ms, told(true), ""},
		{1012 * ms, silenced, "remove"},
		{1013 * ms, gone, "release 1"},
		{1014 * ms, turn, "ask 2"},
		{1015 * ms, promised(1, 1), ""},
		{1016 * ms, promised(1, 2), "answer until 1.384s"},
	}},
	{"who never answered has nothing to silence", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1010 * ms, told(false), "release 1"},
		{1011 * ms, promised(1, 1), ""},
	}},
	{"a claimant that cannot reach a majority gives back what it has, and asks again", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, refused(1, 1), ""},
		{1002 * ms, refused(1, 1), ""},
		{1003 * ms, refused(2, 1), "release 1"},
		{1122 * ms, turn, ""},
		{1123 * ms, turn, "ask 2"},
	}},
	{"a refusal of an older round does not count", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, refused(1, 1), ""},
		{1080 * ms, turn, "ask 2"},
		{1081 * ms, refused(2, 1), ""},
		{1082 * ms, refused(2, 2), ""},
	}},
	{"without its own promise it asks nobody, and asks when it is free", nil, []happens{
		{1000 * ms, asked(2, 4), "promise 4"},
		{1010 * ms, told(true), "release 1"},
		{1020 * ms, released(2, 4), ""},
		{1130 * ms, turn, "ask 2"},
	}},
	{"a holder that is refused goes on until its deadline", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(1, 1), "answer until 1.37s"},
		{1080 * ms, turn, "ask 2"},
		{1081 * ms, refused(1, 2), ""},
		{1082 * ms, refused(2, 2), ""},
		{1320 * ms, turn, "ask 3"},
		{1369 * ms, refused(1, 3), ""},
		{1370 * ms, refused(2, 3), "silence"},
	}},
	{"a claimant whose questions arrive though no answers come stops for longer than promises last", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1399 * ms, turn, "ask 2"},
		{1400 * ms, turn, "release 2"},
		{2199 * ms, turn, ""},
		{2199 * ms, told(true), ""},
		{2200 * ms, turn, "ask 3"},
	}},
	{"a holder without a whole round for a lease releases, and stops for as long", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(1, 1), "answer until 1.37s"},
		{1390 * ms, turn, "ask 2"},
		{1400 * ms, turn, "silence"},
		{1401 * ms, silenced, "remove"},
		{1402 * ms, gone, "release 2"},
		{1403 * ms, turn, ""},
		{2200 * ms, turn, "ask 3"},
	}},
	{"who has adopted a later list refuses those who have not", nil, []happens{
		{1000 * ms, adopts(8, 0, 1), ""},
		{1001 * ms, askedBy(7, 1, 1), "refuse: list 8 is later"},
		{1002 * ms, askedBy(7, 2, 1), "refuse: list 8 is later"},
		{1003 * ms, askedBy(8, 2, 1), ""},
		{1004 * ms, askedBy(8, 1, 2), "promise 2"},
	}},
	{"a member by a later list is promised the address by who has not adopted it", nil, []happens{
		{1000 * ms, askedBy(8, 3, 1), "promise 1"},
		{1001 * ms, askedBy(7, 1, 1), "refuse: 3 has it for 399ms"},
	}},
	{"an older list is not adopted", nil, []happens{
		{1000 * ms, adopts(8, 0, 1), ""},
		{1001 * ms, adopts(7, 0, 1, 2), ""},
		{1002 * ms, askedBy(7, 1, 1), "refuse: list 8 is later"},
	}},
	{"a new list begins a round, and needs its own majority", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(1, 1), "answer until 1.37s"},
		{1010 * ms, adopts(8, 0, 1, 2, 3), "ask 2"},
		{1011 * ms, promised(2, 1), ""},
		{1012 * ms, promised(1, 2), ""},
		{1013 * ms, promised(3, 2), "answer until 1.38s"},
	}},
	{"a promise of who is no member any more does not count", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, adopts(8, 0, 1), "ask 2"},
		{1002 * ms, promised(2, 2), ""},
		{1003 * ms, promised(1, 2), "answer until 1.371s"},
	}},
	{"a holder that is no member any more releases, and does not ask again", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{1001 * ms, promised(1, 1), "answer until 1.37s"},
		{1010 * ms, adopts(8, 1, 2), "silence"},
		{1011 * ms, silenced, "remove"},
		{1012 * ms, gone, "release 1"},
		{2000 * ms, turn, ""},
	}},
	{"woken after minutes, it needs a new round", nil, []happens{
		{1000 * ms, told(true), "ask 1"},
		{300000 * ms, promised(1, 1), ""},
		{300001 * ms, promised(2, 1), ""},
		{300002 * ms, turn, "release 1"},
	}},
}

func TestHolds(t *testing.T) {
	for _, story := range holds {
		t.Run(story.name, func(t *testing.T) {
			l := three(t, 0)
			if story.members != nil {
				l = member0(t, 0, story.members...)
			}
			for i, h := range story.happens {
				if got := words(h.what(l, h.at)); got != h.want {
					t.Fatalf("%d, at %v: %q, want %q", i+1, h.at, got, h.want)
				}
			}
		})
	}
}

// TestNext: Turn is wanted when a round is due, when a pause ends, and not while the caller is to go on.
func TestNext(t *testing.T) {
	l := three(t, 0)
	wants := func(want time.Duration, wanted bool) {
		t.Helper()
		if at, ok := l.Next(); ok != wanted || ok && at != want {
			t.Fatalf("Next is %v, %v, want %v, %v", at, ok, want, wanted)
		}
	}
	wants(0, false)
	l.Tell(true, 1000*ms)
	wants(1080*ms, true)
	l.Turn(1390 * ms)
	wants(1400*ms, true)
	l.Turn(1400 * ms)
	wants(2200*ms, true)
	l.Turn(2200 * ms)
	promised(1, 3)(l, 2201*ms)
	l.Tell(false, 2202*ms)
	wants(0, false)
	l.Silenced()
	wants(0, false)
	l.Removed()
	wants(0, false)
}

// TestStatus: who asks why an address does not move sees who has it, and for how long.
func TestStatus(t *testing.T) {
	l := three(t, 0)
	if s := l.Status(100 * ms); s.State != Idle || s.Promised != Nobody || s.Left != 300*ms {
		t.Errorf("after the start: %+v", s)
	}
	l.Tell(true, 1000*ms)
	refused(1, 1)(l, 1001*ms)
	s := l.Status(1100 * ms)
	if s.State != Asking || s.Promised != 0 || s.Left != 300*ms || s.Refused[1].To != 2 || s.Refused[1].Left != 300*ms {
		t.Errorf("refused by one: %+v", s)
	}
	promised(2, 1)(l, 1200*ms)
	if s := l.Status(1200 * ms); s.Until != 1370*ms {
		t.Errorf("holding: %+v", s)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	good := Settings{Limits{DefaultLease, DefaultMargin}, 1, List{7, []Member{0, 1, 2}}, 1, func(time.Duration) time.Duration { return 0 }}
	if _, err := New(good, 0); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Settings){
		"is shorter than":       func(s *Settings) { s.Lease = ms },
		"does not cover clocks": func(s *Settings) { s.Margin = DefaultLease / 500 },
		"more than a quarter":   func(s *Settings) { s.Margin = 101 * ms },
		"there are none":        func(s *Settings) { s.List.Members = nil },
		"not a member's number": func(s *Settings) { s.List.Members = []Member{-1, 1} },
		"there twice":           func(s *Settings) { s.List.Members = []Member{0, 1, 1} },
		"no source of random":   func(s *Settings) { s.Random = nil },
	} {
		bad := good
		change(&bad)
		if _, err := New(bad, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
