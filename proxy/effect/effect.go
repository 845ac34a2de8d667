// Package effect says what a text of SQL does to its session once it has been carried
// out, as far as the text and the catalog tell. It is a function of the two and knows
// nothing of sessions or servers.
package effect

import (
	"cmp"

	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
)

// Set is what an Effect does, each a bit.
type Set uint32

const (
	Begin   Set = 1 << iota // it begins an explicit transaction
	Sets                    // it sets, or resets, settings
	Ask                     // it may leave what the server has to be asked for
	Undo                    // it takes back what the transaction has set so far
	Partly                  // it makes unknown which of the transaction's changes hold
	Keeps                   // it leaves what nobody can ask for
	Forgets                 // it may have done away with why the server stays
	Alone                   // nothing that follows can be judged before its outcome is known
	Drawn                   // it may have drawn from a sequence
	Recalls                 // it reads what its session drew from a sequence
	Peeks                   // it may read that unseen
	Runs                    // it executes statements of SQL PREPARE
	Defines                 // it changes the doings of others
	Makes                   // it changes the catalog
	Suspect                 // it is not in the grammar that pgherd knows
	Reveals                 // it shows the names of prepared statements
	Stays                   // after it the server may wait for more of the same
	Hooks                   // it makes tables do more than they say: a trigger, a rule, a policy
	Sends                   // it runs NOTIFY, by its own words
	Spoils                  // what it leaves outlasts DISCARD ALL: the server is closed in the end
)

// Has says that one of the bits is set.
func (s Set) Has(bits Set) bool { return s&bits != 0 }

// Add sets bits, AddIf if so.
func (s *Set) Add(bits Set) { *s |= bits }

func (s *Set) AddIf(bits Set, so bool) {
	if so {
		s.Add(bits)
	}
}

// Effect is what a text of SQL does to its session. Whatever it does has a bit in Set;
// the rest is the particulars.
type Effect struct {
	Set

	Changes  []Change                      // Sets: settings, in order
	Tags     int                           // Sets: statements whose tag is SET or RESET
	Pins     string                        // Ask: it leaves, by its own words, what keeps the server: why
	Keep     string                        // Keeps: why the server stays, until DISCARD ALL
	Recalled string                        // Recalls: the function that does
	Runs     []string                      // Runs: their names
	Closes   []string                      // Ask: prepared statements that it deallocates
	Names    []string                      // Ask: placeholder settings that it may have set
	Defined  [][]string                    // Defines: what, in the order of the statements; an empty list: anything
	Prepares map[string][]*query.Statement // Ask: by SQL PREPARE, and what they will do
}

// Moves says that what only reads has the same effect on a standby: none. Its
// functions, of which the catalog or the operator says that they read, draw from
// no sequence.
func (e *Effect) Moves() bool { return e.Set&^Drawn == 0 }

// Change is a setting that a statement gives a value.
type Change struct {
	Name  string
	Value string // to stand after "SET name TO"; "": as after the log-in
	Local bool   // until the transaction's end
}

// KeepFor has the server stay until DISCARD ALL.
func (e *Effect) KeepFor(why string) {
	if why != "" {
		e.Add(Keeps)
		e.Keep = cmp.Or(e.Keep, why)
	}
}

// Execute is the effect of executing a statement of SQL PREPARE, without what that does.
func Execute(name string) *Effect {
	return &Effect{Set: Runs, Runs: []string{name}}
}

// executes notes that a statement of SQL PREPARE is executed.
func (e *Effect) executes(name string) {
	e.Add(Runs)
	e.Runs = append(e.Runs, name)
}

// tag notes that the tag of a statement is SET or RESET.
func (e *Effect) tag() {
	e.Add(Sets)
	e.Tags++
}

// pins notes what will be found when the server is asked.
func (e *Effect) pins(why string) {
	e.Add(Ask)
	e.Pins = cmp.Or(e.Pins, why)
}

// reveals: names of prepared statements are shown. The server stays then, with
// nothing but the client's own, under its own names.
func (e *Effect) reveals(it bool) {
	if it {
		e.Add(Reveals)
		e.KeepFor("pg_prepared_statements was read")
	}
}

// may notes what carrying out a name may leave behind.
func (e *Effect) may(v catalog.Verdict, what string) {
	switch v {
	case catalog.Reveals:
		e.reveals(true)
		e.Add(Ask | Spoils)
	case catalog.Keeps, catalog.Spoils:
		e.KeepFor(what)
		e.Add(Ask)
		e.AddIf(Spoils, v == catalog.Spoils)
	case catalog.Asks:
		e.Add(Ask)
	}
}
