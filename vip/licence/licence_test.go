package licence

import (
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

func newLicence(t *testing.T, self int) *Licence {
	t.Helper()
	l, err := New(Settings{Self: self, Members: []int{0, 1, 2}, Lasts: time.Second, Margin: 30 * ms, First: uint64(self) * 1000})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func is[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// TestLicence follows a licence from the election of its leader to its end.
func TestLicence(t *testing.T) {
	lead, member := newLicence(t, 0), newLicence(t, 1)
	lead.Lead(7, 0, 100*ms)
	want := func(at time.Duration) []Sent {
		asks := member.Turn(0, 7, at)
		is(t, "questions of the member", len(asks), 1)
		return lead.Receive(1, asks[0].Message, 7, at)
	}
	is(t, "licences before a majority has confirmed the term", len(want(100*ms)), 0)
	confirms := lead.Turn(0, 7, 150*ms)
	is(t, "members that are asked", len(confirms), 2)
	is(t, "answers of a member with another term", len(member.Receive(0, confirms[0].Message, 8, 160*ms)), 0)
	yes := member.Receive(0, confirms[0].Message, 7, 160*ms)
	lead.Receive(1, yes[0].Message, 7, 170*ms)
	is(t, "the leader's own licence", lead.Until(), 1120*ms) // from before it asked
	grant := want(250 * ms)
	is(t, "the licence, from 250 ms", grant[0].Message.For, 900*ms)
	member.Receive(0, grant[0].Message, 7, 600*ms) // it comes late
	is(t, "the member's licence", member.Until(), 1120*ms)
	is(t, "licences once the confirmation is over", len(want(1200*ms)), 0)
}

// TestUnlicensed checks from when on a leader knows that a member has stopped.
func TestUnlicensed(t *testing.T) {
	lead := newLicence(t, 0)
	lead.Lead(6, 4, 0)
	lead.Receive(2, Message{Kind: Yes, Number: lead.Turn(0, 6, 0)[0].Message.Number}, 6, 10*ms)
	is(t, "licences for who has not fenced what was decided before", len(lead.Receive(1, Message{Kind: Want, Number: 1, Fenced: 3}, 6, 20*ms)), 0)
	lead.Lead(0, 0, 30*ms)
	is(t, "asked of who does not lead", lead.Unlicensed(1, 5, time.Hour), false)
	lead.Lead(7, 0, 100*ms)
	is(t, "a former leader's licences hold", lead.Unlicensed(1, 5, 1129*ms), false)
	is(t, "they do not", lead.Unlicensed(1, 5, 1130*ms), true)
	confirms := lead.Turn(0, 7, 1200*ms)
	lead.Receive(2, Message{Kind: Yes, Number: confirms[0].Message.Number}, 7, 1210*ms)
	is(t, "licences for who has not fenced", len(lead.Receive(1, Message{Kind: Want, Number: 1, Fenced: 4}, 7, 1220*ms)), 0)
	is(t, "the leader's own before it has fenced", lead.Until(), 0)
	is(t, "licences for who has", len(lead.Receive(1, Message{Kind: Want, Number: 2, Fenced: 5}, 7, 1220*ms)), 1)
	is(t, "it has one", lead.Unlicensed(1, 6, 2229*ms), false)
	is(t, "it has none any more", lead.Unlicensed(1, 6, 2230*ms), true)
	lead.Fenced(6)
	lead.Turn(0, 7, 2300*ms)
	is(t, "questions of a leader whose term is over", len(lead.Turn(0, 8, 2400*ms)), 0)
	lead.Lead(0, 0, 2400*ms)
	is(t, "after it has led", lead.Unlicensed(1, 6, time.Hour), false)
}

// TestStrangeMessages checks that what does not belong to a question changes nothing.
func TestStrangeMessages(t *testing.T) {
	lead, member := newLicence(t, 0), newLicence(t, 1)
	lead.Lead(7, 0, 0)
	confirms := lead.Turn(0, 7, 0)
	yes := Message{Kind: Yes, Number: confirms[0].Message.Number}
	for _, number := range []uint64{yes.Number - 1, yes.Number + 1, 0} {
		lead.Receive(1, Message{Kind: Yes, Number: number}, 7, 10*ms)
	}
	lead.Receive(9, yes, 7, 10*ms)
	is(t, "the licence of a leader whom nobody has confirmed", lead.Until(), 0)
	asks := member.Turn(0, 7, 0)
	member.Receive(0, Message{Kind: Grant, Number: asks[0].Message.Number - 1, For: time.Second}, 7, 10*ms)
	member.Receive(0, Message{Kind: Grant, Number: asks[0].Message.Number, For: time.Hour}, 7, 10*ms)
	is(t, "the licence of who was granted none", member.Until(), 0)
	is(t, "questions without a leader", len(member.Turn(Nobody, 7, time.Hour)), 0)
}

// TestAlone checks that a member that is alone is a majority.
func TestAlone(t *testing.T) {
	l, err := New(Settings{Self: 3, Members: []int{3}, Lasts: time.Second, Margin: 30 * ms})
	if err != nil {
		t.Fatal(err)
	}
	l.Lead(1, 0, 0)
	is(t, "members that are asked", len(l.Turn(3, 1, 0)), 0)
	is(t, "the licence", l.Until(), 970*ms)
}

// TestSettings checks that settings are refused that would not hold.
func TestSettings(t *testing.T) {
	good := Settings{Members: []int{0}, Lasts: DefaultLasts, Margin: DefaultMargin}
	for what, s := range map[string]func(*Settings){
		"no members":                  func(s *Settings) { s.Members = nil },
		"clocks are not covered":      func(s *Settings) { s.Margin = 2 * ms },
		"more margin than half of it": func(s *Settings) { s.Margin = 600 * ms },
	} {
		bad := good
		bad.Members = slices.Clone(good.Members)
		s(&bad)
		if _, err := New(bad); err == nil {
			t.Errorf("%s: it was taken", what)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
}
