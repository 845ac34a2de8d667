package session

import (
	"slices"

	"pgherd/proxy/effect"
	"pgherd/proxy/query"
)

// present is what a request is judged by if it is judged now.
func (k *knowledge) present() (b basis) {
	if k.entry != nil {
		b.tick = k.entry.Tick() // read first, so that later changes are noticed
		b.known, b.asOf = k.entry.Present()
	}
	return b
}

// overtaken says that other sessions may have defined something since the request at hand was
// judged that changes its effect.
func (s *analysis) overtaken() bool {
	b := &s.basis
	if s.entry == nil || !s.entry.Stale() && s.entry.Tick() == b.tick && s.entry.Snapshot() == b.known {
		return false
	}
	return b.script == nil || s.entry.Snapshot() != b.known || s.entry.Concerning(b.script, b.asOf, s.redo.own) > 0
}

// redo is what may have to be judged again at the end of the transaction, because definitions,
// of this session or of others, may have changed its effect.
type redo struct {
	ran     []*query.Script // what has run, judged at tick or later
	later   []*query.Script // what has to be judged again
	tick    uint64
	asOf    uint64     // the first judgement knew the definitions up to this number
	made    [][]string // what the session itself has defined since then
	own     []uint64   // the numbers of the session's own definitions in the catalog entry
	opaque  bool       // something has run that cannot be judged again
	asks    uint64     // how many questions for the catalog there were when the last of later had run
	counted bool       // asks is set
	bytes   int        // of the scripts' texts
}

// Limits of the scripts that are judged again: how many there are, and the bytes of their texts.
const (
	redoLimit = 100
	redoBytes = 1 << 20
)

// misjudgedForGood is why a server stays with a session whose statements cannot be judged again.
const misjudgedForGood = "more was done while definitions changed than can be judged again"

// put adds a script to a list, within the limits.
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

// noteRun notes the request at hand as one that may have to be judged again, and what it
// defines.
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

// redefines counts the session's own definitions that change the effect of a script.
func (k *knowledge) redefines(script *query.Script) (n int) {
	known := k.entry.Snapshot()
	for _, objects := range k.redo.made {
		if known.Concerns(objects, script) {
			n++
		}
	}
	return n
}

// meets counts the definitions, of this session and of others, that may have changed the effect
// of a script between its first judgement and the latest answer about the catalog.
func (k *knowledge) meets(script *query.Script) int {
	return k.redefines(script) + k.entry.Concerning(script, k.redo.asOf, k.redo.own)
}

// misjudged says that something has run that has to be judged again.
func (k *knowledge) misjudged() bool {
	r := &k.redo
	return len(r.later) > 0 || (len(r.ran) > 0 || r.opaque) && k.entry.Tick() != r.tick
}

// judgeAgain judges again what has run, if definitions may have changed its effect since. It is
// not done while the answer about the catalog has not come.
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
	case s.state == Closing: // the server is reset anyway
		s.tracker.Unsure = true
	case s.away: // a standby may lag behind the definitions, so its server is closed
		s.tracker.Unsure = true
		s.server.Retire(s.loop.Now())
	case s.awaitsCatalog():
		s.recheck = s.loop.Now().Add(recheckEvery)
		return false
	default:
		s.judgeLater()
	}
	clear(r.ran) // an idle session keeps no script in memory
	clear(r.later)
	*r = redo{ran: r.ran[:0], later: r.later[:0]}
	return true
}

// overtake finds out what has to be judged again.
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

// judgeLater judges again by the latest answer about the catalog. A function that was defined
// anew twice since may in between have been one that no answer describes.
func (s *analysis) judgeLater() {
	f := &s.tracker
	for _, script := range s.redo.later {
		e := effect.Of(script, s.judge())
		s.addRuns(&e)
		if e.Has(effect.Runs) && e.Has(effect.Ask) { // the statement that it has executed may be deallocated by now
			e.KeepFor("EXECUTE while definitions changed")
		}
		f.Keep(e.Keep)
		f.Unsure = f.Unsure || e.Has(effect.Ask)
		if s.meets(script) > 1 {
			f.Keep("what it runs was defined anew more than once meanwhile")
		}
	}
}

// awaitsCatalog says that what has run can be judged only by an answer about the catalog to a
// question that was asked afterwards, and that this answer has not come.
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
