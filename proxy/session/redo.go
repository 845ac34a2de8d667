package session

import (
	"slices"

	"pgherd/proxy/effect"
	"pgherd/proxy/query"
)

// present is what a request would be judged by now.
func (k *knowledge) present() (b basis) {
	if k.entry != nil {
		b.tick = k.entry.Tick() // first: what happens meanwhile is noticed
		b.known, b.asOf = k.entry.Present()
	}
	return b
}

// overtaken says that the request at hand may meet definitions of others that its
// judgement does not know.
func (s *analysis) overtaken() bool {
	b := &s.basis
	if s.entry == nil || !s.entry.Stale() && s.entry.Tick() == b.tick && s.entry.Snapshot() == b.known {
		return false
	}
	return b.script == nil || s.entry.Snapshot() != b.known || s.entry.Concerning(b.script, b.asOf, s.redo.own) > 0
}

// redo is what may have to be judged once more.
type redo struct {
	ran     []*query.Script // judged at tick or later
	later   []*query.Script // those whose judgement is known not to hold
	tick    uint64
	asOf    uint64     // the definitions that the first judgement knew of
	made    [][]string // what the session itself has defined meanwhile
	own     []uint64   // by what numbers others know of it
	opaque  bool       // what cannot be judged once more has run, too
	asks    uint64     // questions for the catalog so far, when the last of later had run
	counted bool       // they were counted
	bytes   int        // of their texts
}

// Limits of the scripts that are judged a second time: how many, and bytes of their texts.
const (
	redoLimit = 100
	redoBytes = 1 << 20
)

// misjudgedForGood is why a server stays with a session whose doings cannot be judged again.
const misjudgedForGood = "more was done while definitions changed than can be judged again"

// put adds a script to a list of them.
func (r *redo) put(list *[]*query.Script, script *query.Script) {
	switch n := len(*list); {
	case n > 0 && (*list)[n-1] == script || slices.Contains(*list, script):
	case n >= redoLimit || r.bytes+len(script.Text) > redoBytes:
		r.opaque = true
	default:
		r.bytes += len(script.Text)
		*list = append(*list, script)
	}
}

// noteRun takes down what the request at hand will do, as far as definitions may
// change it.
func (s *analysis) noteRun(e *effect.Effect) {
	r, b := &s.redo, &s.basis
	if s.entry == nil {
		return
	}
	if len(r.ran)+len(r.later) == 0 && !r.opaque {
		r.tick, r.asOf = b.tick, b.asOf
	}
	if e.Has(effect.Defines) {
		r.made = append(r.made, e.Defined...)
		d := &s.definitions
		d.made, d.secret = append(d.made, e.Defined...), append(d.secret, e.Defined...)
	}
	s.definitions.plain = s.definitions.plain || e.Has(effect.Makes) && !e.Has(effect.Defines)
	r.opaque = r.opaque || e.Has(effect.Runs) || len(r.made) > redoLimit
	switch {
	case b.script == nil:
		if e.Has(effect.Runs) && s.overtaken() {
			s.tracker.Keep(misjudgedForGood)
		}
	case s.overtaken() || s.redefines(b.script) > 0:
		r.put(&r.later, b.script)
		r.counted = false
	default:
		r.put(&r.ran, b.script)
	}
}

// redefines counts the session's own definitions that change what a script does.
func (k *knowledge) redefines(script *query.Script) (n int) {
	known := k.entry.Snapshot()
	for _, objects := range k.redo.made {
		if known.Concerns(objects, script) {
			n++
		}
	}
	return n
}

// meets counts the definitions, of its own and of others, that may have changed what a
// script does, between its first judgement and the latest answer about the catalog.
func (k *knowledge) meets(script *query.Script) int {
	return k.redefines(script) + k.entry.Concerning(script, k.redo.asOf, k.redo.own)
}

// misjudged says that something has run that is to be judged once more.
func (k *knowledge) misjudged() bool {
	r := &k.redo
	return len(r.later) > 0 || (len(r.ran) > 0 || r.opaque) && k.entry.Tick() != r.tick
}

// judgeAgain judges what has run once more, if definitions may have changed it
// meanwhile. Not done: what it ran under is not known yet.
func (s *analysis) judgeAgain() (done bool) {
	r := &s.redo
	if s.entry == nil {
		return true
	}
	if s.misjudged() {
		s.overtake()
	}
	switch {
	case len(r.later) == 0:
	case s.state == Closing: // it is reset
		s.tracker.Unsure = true
	case s.away: // a standby may not have heard of the latest, and is closed
		s.tracker.Unsure = true
		s.server.Retire(s.loop.Now())
	case s.awaitsCatalog():
		s.recheck = s.loop.Now().Add(recheckEvery)
		return false
	default:
		s.judgeLater()
	}
	clear(r.ran) // an idle session holds none
	clear(r.later)
	*r = redo{ran: r.ran[:0], later: r.later[:0]}
	return true
}

// overtake finds out what is to be judged once more.
func (s *analysis) overtake() {
	r := &s.redo
	if r.opaque && s.entry.Tick() != r.tick {
		s.tracker.Keep(misjudgedForGood)
	}
	for _, script := range r.ran {
		if s.meets(script) > 0 {
			r.put(&r.later, script)
			r.counted = false
		}
	}
	clear(r.ran)
	r.ran = r.ran[:0]
}

// judgeLater judges by the latest answer. What has changed twice since may have been,
// in between, what no answer tells.
func (s *analysis) judgeLater() {
	f := &s.tracker
	for _, script := range s.redo.later {
		e := effect.Of(script, s.judge())
		if s.addRuns(&e); e.Has(effect.Runs) && e.Has(effect.Ask) { // what it has executed may be deallocated by now
			e.KeepFor("EXECUTE while definitions changed")
		}
		f.Keep(e.Keep)
		f.Unsure = f.Unsure || e.Has(effect.Ask)
		if s.meets(script) > 1 {
			f.Keep("what it runs was defined anew more than once meanwhile")
		}
	}
}

// awaitsCatalog says that what has run cannot be judged before another answer about
// the catalog has come, to a question that was asked after it.
func (k *knowledge) awaitsCatalog() bool {
	r := &k.redo
	if len(r.later) == 0 {
		return false
	}
	if !r.counted {
		r.asks, r.counted = k.entry.Asks(), true
	}
	return k.entry.Stale() && !k.entry.Answered(r.asks)
}
