package pool

import (
	"fmt"
	"slices"
	"testing"
)

// keeper has the methods that an Allocator and the oracle have in common.
type keeper interface {
	Ask(Ticket) []Action
	Spare(Key, int) []Action
	Gone(Key) []Action
}

// BenchmarkHandOver shares 20 servers among 2,000 sessions on 4 workers. One session gives its server back, the
// session that has waited longest gets it, and the first one asks again.
func BenchmarkHandOver(b *testing.B) {
	const sessions, servers = 2000, 20
	for _, pools := range []int{1, 50, sessions} {
		for name, make := range map[string]func(Limits) keeper{
			"home":   func(l Limits) keeper { return NewAllocator(l) },
			"oracle": func(l Limits) keeper { return newOracle(l) },
		} {
			b.Run(fmt.Sprintf("%d-pools/%s", pools, name), func(b *testing.B) {
				handOver(b, make(Limits{Node: servers}), sessions, servers, pools)
			})
		}
	}
}

func handOver(b *testing.B, k keeper, sessions, servers, pools int) {
	ticket := func(session uint32) Ticket {
		return Ticket{Worker: int(session % 4), Session: session, Key: Target{Database: "app", User: fmt.Sprint("user", int(session)%pools)}.On(0)}
	}
	tickets := make([]Ticket, sessions)
	for i := range tickets {
		tickets[i] = ticket(uint32(i))
		k.Ask(tickets[i])
	}
	holders := slices.Clone(tickets[:servers])
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		from := holders[i%servers]
		given := k.Spare(from.Key, from.Worker)
		if len(given) == 1 && given[0].Deed == Evict { // the place goes to another pool
			given = k.Gone(from.Key)
		}
		if len(given) != 1 {
			b.Fatal(given)
		}
		holders[i%servers] = given[0].Ticket
		k.Ask(tickets[from.Session])
	}
}

// BenchmarkOthersWait has 2,000 sessions that wait because of their own pair's limit, while a session of another
// pair gives a server back and takes it again.
func BenchmarkOthersWait(b *testing.B) {
	for name, make := range map[string]func(Limits) keeper{
		"home":   func(l Limits) keeper { return NewAllocator(l) },
		"oracle": func(l Limits) keeper { return newOracle(l) },
	} {
		b.Run(name, func(b *testing.B) {
			k := make(Limits{Node: 100, Pair: 10})
			for i := range uint32(2000) {
				k.Ask(Ticket{Session: i, Key: Target{Database: "app", User: "crowd"}.On(0)})
			}
			other := Ticket{Session: 5000, Key: Target{Database: "app", User: "other"}.On(0)}
			k.Ask(other)
			b.ReportAllocs()
			for b.Loop() {
				k.Spare(other.Key, 0)
				if given := k.Ask(other); len(given) != 1 {
					b.Fatal(given)
				}
			}
		})
	}
}
