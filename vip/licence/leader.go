package licence

import (
	"slices"
	"time"
)

// leader is what a member knows as long as it leads.
type leader struct {
	term      uint64 // 0: it does not lead
	elected   time.Duration
	asked     asked
	yes       [kept][]int           // who has said yes to the rounds in asked
	confirmed time.Duration         // until when licences may hold; 0: no majority has confirmed the term yet
	ends      map[int]time.Duration // of the licences that were granted, by member
	needs     uint64                // the epoch that a member has to have fenced to get one
}

func (l *leader) enter(term, epoch uint64, now time.Duration) {
	*l = leader{term: term, elected: now, needs: epoch, ends: map[int]time.Duration{}}
}

// confirm begins a round, to which this member has said yes.
func (l *Licence) confirm(now time.Duration) (all []Sent) {
	l.leader.asked.add(l.number, now)
	l.leader.yes[l.number%kept] = nil
	l.yes(l.set.Self, l.number)
	for _, m := range l.set.Members {
		if m != l.set.Self {
			all = append(all, Sent{m, Message{Kind: Confirm, Number: l.number, Term: l.leader.term}})
		}
	}
	return all
}

// yes counts an answer to a round of this term.
func (l *Licence) yes(from int, number uint64) {
	at, found := l.leader.asked.at(number)
	all := &l.leader.yes[number%kept]
	if !found || slices.Contains(*all, from) || !slices.Contains(l.set.Members, from) {
		return
	}
	if *all = append(*all, from); len(*all) > len(l.set.Members)/2 {
		l.leader.confirmed = max(l.leader.confirmed, at+l.set.Lasts)
		l.own()
	}
}

// own is the leader's own licence.
func (l *Licence) own() {
	if l.fenced >= l.leader.needs {
		l.until = max(l.until, l.leader.confirmed-l.set.Margin)
		l.leader.ends[l.set.Self] = l.leader.confirmed
	}
}

// grant answers a member that wants a licence.
func (l *Licence) grant(to int, want Message, now time.Duration) []Sent {
	left := l.leader.confirmed - now
	if l.leader.term == 0 || left <= l.set.Margin || want.Fenced < l.leader.needs || !slices.Contains(l.set.Members, to) {
		return nil
	}
	l.leader.ends[to] = l.leader.confirmed
	return []Sent{{to, Message{Kind: Grant, Number: want.Number, For: left}}}
}

// Unlicensed says that a member has no licence that was given before it had fenced this epoch. From now on it is given none
// before it has.
func (l *Licence) Unlicensed(member int, epoch uint64, now time.Duration) bool {
	if l.leader.term == 0 {
		return false
	}
	l.leader.needs = max(l.leader.needs, epoch)
	former := l.leader.elected + l.set.Lasts
	return now >= max(former, l.leader.ends[member])+l.set.Margin
}
