package leaks_test

import (
	"fmt"
	"slices"
	"strings"
	sy "sync"
)

// difference is what a client saw and its twin did not, or nil if there is none.
type difference struct {
	at        int // the index of the step
	what      string
	want, got []string
}

func (d *difference) String() string {
	if d == nil {
		return "no difference"
	}
	return fmt.Sprintf("after step %d, %s differs\n  twin:   %s\n  client: %s",
		d.at+1, d.what, strings.Join(d.want, "\n          "), strings.Join(d.got, "\n          "))
}

// pair is a client and its twin, which does the same on a connection of its own.
type pair struct {
	client, twin *talk
	seeded       bool   // random() returns the same to both
	server       string // the server on which the client was seen last
}

// tally counts what a run has done, which shows what a pass is worth.
type tally struct {
	steps, looks, refusals int
	moves                  int // times that a client was seen on another server, within one log-in
	passes                 int // times that a server was seen with another log-in
}

func (t *tally) add(other tally) {
	t.steps, t.looks, t.refusals = t.steps+other.steps, t.looks+other.looks, t.refusals+other.refusals
	t.moves, t.passes = t.moves+other.moves, t.passes+other.passes
}

// run is one script being run.
type run struct {
	arena  *arena
	script script
	state  string // the query; see stateQuery
	pairs  []*pair
	users  map[string]*talk // by server, the client that was seen on it last
	tally  tally
}

// play runs a script from a fresh start. An error is one of the test's own, and not one of pgherd's.
func play(a *arena, s script) (*difference, tally, error) {
	if err := a.fresh(s.stage); err != nil {
		return nil, tally{}, err
	}
	r := &run{arena: a, script: s, state: stateQuery, users: map[string]*talk{}}
	if a.prepared {
		r.state += preparedQuery
	}
	defer r.close()
	for range s.clients {
		r.pairs = append(r.pairs, &pair{})
		if err := r.login(len(r.pairs), nil); err != nil {
			return nil, r.tally, err
		}
	}
	for i, st := range s.steps {
		d, err := r.step(st)
		if err != nil {
			return nil, r.tally, fmt.Errorf("step %d, %s: %w", i+1, st, err)
		}
		if d != nil {
			d.at = i
			return d, r.tally, nil
		}
	}
	return nil, r.tally, nil
}

func (r *run) close() {
	for _, p := range r.pairs {
		for _, t := range []*talk{p.client, p.twin} {
			if t != nil {
				t.leave(true)
			}
		}
	}
}

// login connects client number n and its twin.
func (r *run) login(n int, params []string) (err error) {
	p, s := r.pairs[n-1], r.script
	if p.client, err = open(r.arena.address, who{s.user, s.stage.clients, params}); err != nil {
		return err
	}
	p.twin, err = open(r.arena.direct, who{s.user, s.stage.twins, params})
	p.seeded, p.server = false, ""
	return err
}

// step does one step on both sides and compares.
func (r *run) step(st step) (*difference, error) {
	r.tally.steps++
	p := r.pairs[st.client-1]
	switch st.act {
	case leaves, vanishes:
		return r.again(st.client, st.act == leaves, st.params)
	case reloads:
		if r.arena.reload == nil { // this arena does not run pgherd
			return nil, nil
		}
		return nil, r.arena.reload()
	case defines:
		return nil, r.arena.define(st.sql)
	case looks:
		if p.client.status == 'E' {
			return nil, nil
		}
		return r.look(st.client)
	case draws:
		if !p.seeded {
			return nil, nil
		}
	}
	// To describe a statement, a server must first prepare it, which it does not in a failed transaction. There PostgreSQL
	// describes statements without a result.
	describes := func(m message) bool { return m.kind == describe }
	if p.client.status == 'E' && slices.ContainsFunc(st.send, describes) {
		return nil, nil
	}
	got := p.client.say(st.send)
	if p.client.refused != "" {
		r.tally.refusals++
		return r.afterRefusal(st.client)
	}
	want := p.twin.say(st.send)
	if d := p.compare("the answer", want, got); d != nil {
		return d, nil
	}
	if st.act == seeds {
		p.seeded = !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, "ERROR") })
	}
	if slices.Contains(got, "DISCARD ALL") { // DISCARD ALL frees pgherd's server, with which the seed is lost
		p.seeded = false
	}
	if p.client.ended {
		return r.again(st.client, true, nil)
	}
	return nil, nil
}

// compare compares the answers, and the parameters and notifications that both have received so
// far.
func (p *pair) compare(what string, want, got []string) *difference {
	if !slices.Equal(want, got) {
		return &difference{what: what, want: want, got: got}
	}
	if p.client.status != p.twin.status || p.client.ended != p.twin.ended {
		return &difference{what: "the status", want: []string{string(p.twin.status)}, got: []string{string(p.client.status)}}
	}
	if want, got := p.twin.parameters(), p.client.parameters(); !slices.Equal(want, got) {
		return &difference{what: "ParameterStatus", want: missing(want, got), got: missing(got, want)}
	}
	return nil
}

// look compares the visible state. The other clients' notifications have arrived, because their signals came before the
// query.
func (r *run) look(n int) (*difference, error) {
	r.tally.looks++
	p := r.pairs[n-1]
	var want, got []string
	var server string
	var both sy.WaitGroup
	both.Go(func() { want, _ = p.twin.state(r.state) })
	both.Go(func() { got, server = p.client.state(r.state) })
	both.Wait()
	r.seen(n, server)
	more, less := missing(want, got), missing(got, want)
	if more = slices.DeleteFunc(more, goesWithDiscardAll); len(more)+len(less) > 0 {
		return &difference{what: "the visible state", want: more, got: less}, nil
	}
	if !slices.Equal(p.twin.heard, p.client.heard) {
		return &difference{what: "what was notified", want: p.twin.heard, got: p.client.heard}, nil
	}
	return p.compare("the visible state", nil, nil), nil
}

// goesWithDiscardAll is true for what DISCARD ALL leaves on PostgreSQL's server, but not with a client of pgherd's, which
// gets another server.
func goesWithDiscardAll(line string) bool { return strings.HasPrefix(line, "row temporary slot ") }

// seen records on which server client n is.
func (r *run) seen(n int, server string) {
	p := r.pairs[n-1]
	if p.server != "" && p.server != server {
		r.tally.moves++
	}
	if last, known := r.users[server]; known && last != p.client {
		r.tally.passes++
	}
	p.server, r.users[server] = server, p.client
}

// again ends the connections of client n, and makes new ones once nothing that the old ones held can be seen.
func (r *run) again(n int, politely bool, params []string) (*difference, error) {
	p := r.pairs[n-1]
	p.client.leave(politely)
	p.twin.leave(politely)
	left, err := r.arena.gone(n)
	if err != nil {
		return nil, err
	}
	if left != "" {
		return &difference{what: "what a client left behind", got: []string{left}}, nil
	}
	if err := r.login(n, params); err != nil {
		return nil, err
	}
	return p.compare("the login", nil, nil), nil
}

// afterRefusal makes both sides equal again: what pgherd refuses by design may have been done in part, and the twin was
// not sent it.
func (r *run) afterRefusal(n int) (*difference, error) {
	d, err := r.again(n, true, nil)
	if d != nil || err != nil {
		return d, err
	}
	return nil, r.arena.level(n, r.tally.refusals)
}
