package lease

import (
	"testing"
	"time"
)

const ms = time.Millisecond

// said is one message to a promiser that started at 0 with a lease of 400 ms, and its answer: "" is none.
type said struct {
	at    time.Duration
	from  Member
	kind  Kind
	round Round
	want  string
}

const (
	yes  = "promise"
	none = ""
)

// first and second are two incarnations of a member.
func first(n uint64) Round  { return Round{0xA, n} }
func second(n uint64) Round { return Round{0xB, n} }

var promises = []struct {
	name string
	said []said
}{
	{"nobody is promised anything for a lease from the start", []said{
		{0, 1, Ask, first(1), "refuse: -1 has it for 400ms"},
		{399 * ms, 1, Ask, first(2), "refuse: -1 has it for 1ms"},
		{400 * ms, 1, Ask, first(3), yes},
	}},
	{"one member at a time, until the promise is over", []said{
		{500 * ms, 1, Ask, first(1), yes},
		{510 * ms, 2, Ask, first(1), "refuse: 1 has it for 390ms"},
		{899 * ms, 2, Ask, first(2), "refuse: 1 has it for 1ms"},
		{900 * ms, 2, Ask, first(3), yes},
		{910 * ms, 1, Ask, first(9), "refuse: 2 has it for 390ms"},
	}},
	{"each round begins the promise anew", []said{
		{500 * ms, 1, Ask, first(1), yes},
		{580 * ms, 1, Ask, first(2), yes},
		{900 * ms, 2, Ask, first(1), "refuse: 1 has it for 80ms"},
	}},
	{"a doubled question is answered as the first", []said{
		{500 * ms, 1, Ask, first(1), yes},
		{501 * ms, 1, Ask, first(1), yes},
	}},
	{"a release frees the address at once", []said{
		{500 * ms, 1, Ask, first(5), yes},
		{510 * ms, 1, Release, first(5), none},
		{510 * ms, 2, Ask, first(1), yes},
	}},
	{"a release frees promises of earlier rounds, too", []said{
		{500 * ms, 1, Ask, first(5), yes},
		{510 * ms, 1, Release, first(6), none},
		{510 * ms, 2, Ask, first(1), yes},
	}},
	{"a release that comes late does not free what was promised later", []said{
		{500 * ms, 1, Ask, first(6), yes},
		{510 * ms, 1, Release, first(5), none},
		{510 * ms, 2, Ask, first(1), "refuse: 1 has it for 390ms"},
	}},
	{"a question that comes late does not make the promise that of an earlier round", []said{
		{500 * ms, 1, Ask, first(6), yes},
		{505 * ms, 1, Ask, first(5), none},
		{510 * ms, 1, Release, first(5), none},
		{510 * ms, 2, Ask, first(1), "refuse: 1 has it for 390ms"},
	}},
	{"a question that comes after its release makes no promise", []said{
		{500 * ms, 1, Ask, first(5), yes},
		{510 * ms, 1, Release, first(5), none},
		{520 * ms, 1, Ask, first(5), none},
		{520 * ms, 1, Ask, first(4), none},
		{530 * ms, 2, Ask, first(1), yes},
	}},
	{"a question that its release has overtaken makes no promise", []said{
		{500 * ms, 1, Release, first(5), none},
		{520 * ms, 1, Ask, first(5), none},
		{530 * ms, 1, Ask, first(6), yes},
	}},
	{"an earlier release that comes later changes nothing", []said{
		{500 * ms, 1, Release, first(5), none},
		{510 * ms, 1, Release, first(3), none},
		{520 * ms, 1, Ask, first(4), none},
	}},
	{"somebody else's release frees nothing", []said{
		{500 * ms, 1, Ask, first(5), yes},
		{510 * ms, 2, Release, first(5), none},
		{510 * ms, 2, Ask, first(6), "refuse: 1 has it for 390ms"},
	}},
	{"a member that has restarted waits for its own promise to end", []said{
		{500 * ms, 1, Ask, first(70), yes},
		{600 * ms, 1, Ask, second(1), "refuse: 1 has it for 300ms"},
		{900 * ms, 1, Ask, second(2), yes},
	}},
	{"a release of the life before does not free what this one has", []said{
		{500 * ms, 1, Ask, second(1), yes},
		{505 * ms, 1, Ask, first(70), "refuse: 1 has it for 395ms"},
		{510 * ms, 1, Release, first(70), none},
		{510 * ms, 2, Ask, first(1), "refuse: 1 has it for 390ms"},
	}},
	{"a release of this life does not free what the life before has", []said{
		{500 * ms, 1, Ask, first(1), yes},
		{510 * ms, 1, Release, second(9), none},
		{510 * ms, 2, Ask, first(1), "refuse: 1 has it for 390ms"},
	}},
	{"small numbers after a restart are not those that were released", []said{
		{500 * ms, 1, Ask, first(70), yes},
		{510 * ms, 1, Release, first(70), none},
		{520 * ms, 1, Ask, second(1), yes},
	}},
	{"who is no member is not answered", []said{
		{500 * ms, 7, Ask, first(1), none},
		{500 * ms, 0, Ask, first(1), none},
		{500 * ms, 1, Ask, first(1), yes},
	}},
}

func TestPromises(t *testing.T) {
	for _, story := range promises {
		t.Run(story.name, func(t *testing.T) {
			l := three(t, 0)
			for i, s := range story.said {
				step := l.Receive(s.from, Message{Kind: s.kind, Round: s.round, List: 7}, s.at)
				if got := answered(step, s.from, s.round); got != s.want {
					t.Fatalf("message %d, at %v: %q, want %q", i+1, s.at, got, s.want)
				}
			}
		})
	}
}

func answered(step Step, to Member, round Round) string {
	if len(step.Send) == 0 {
		return none
	}
	sent := step.Send[0]
	switch {
	case len(step.Send) > 1 || sent.To != to || sent.Message.Round != round:
		return "not an answer to what was asked"
	case sent.Message.Kind == Promise:
		return yes
	}
	return wordsOf(sent.Message)
}
