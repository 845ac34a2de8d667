// Package effect says what a text of SQL does to its session when it runs, as far as the text and
// the catalog tell. It has pure functions of the two, and knows nothing of sessions or servers.
package effect

import (
	"cmp"

	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
)

// Set is what a text of SQL does, with a bit for each thing.
type Set uint32

const (
	Begin   Set = 1 << iota // it begins an explicit transaction
	Sets                    // it sets, or resets, settings
	Ask                     // it may leave something that the server has to be asked for
	Undo                    // it takes back what the transaction has set so far
	Partly                  // it makes unknown which of the transaction's changes hold
	Keeps                   // it leaves something that the server cannot be asked for
	Forgets                 // it may remove what has pinned the server
	Alone                   // nothing that follows can be judged before its outcome is known
	Drawn                   // it may draw from a sequence
	Recalls                 // it reads what its session has drawn from a sequence: currval, lastval
	Peeks                   // code in it that pgherd does not analyze may do so
	Runs                    // it executes statements of SQL PREPARE
	Defines                 // it changes what other statements do
	Makes                   // it changes the catalog
	Suspect                 // it is not in the grammar that pgherd knows
	Reveals                 // it shows the names of prepared statements
	Stays                   // after it the server may wait for more of the same
	Hooks                   // it may make a trigger, a rule or a policy, so that using a table does more
	Sends                   // it runs NOTIFY
	Spoils                  // what it leaves outlasts DISCARD ALL, so the server is closed in the end
)

// Has says that at least one of the bits is set.
func (s Set) Has(bits Set) bool { return s&bits != 0 }

// Add sets bits.
func (s *Set) Add(bits Set) { *s |= bits }

// AddIf sets bits if so is true.
func (s *Set) AddIf(bits Set, so bool) {
	if so {
		s.Add(bits)
	}
}

// Effect is what a text of SQL does to its session. Whatever it does has a bit in Set; the other
// fields have the details, and the comment on each begins with its bit.
type Effect struct {
	Set

	Changes  []Change                      // Sets: the settings, in order
	Tags     int                           // Sets: how many statements have the tag SET or RESET
	Pins     string                        // Ask: what the text says that it leaves, and what pins the server
	Keep     string                        // Keeps: why the server is pinned until DISCARD ALL
	Recalled string                        // Recalls: the function that is called
	Runs     []string                      // Runs: the names of the statements
	Closes   []string                      // Ask: the prepared statements that it deallocates
	Names    []string                      // Ask: the placeholder settings that it may set
	Defined  [][]string                    // Defines: the objects of each definition, in order; an empty list is any object
	Prepares map[string][]*query.Statement // Ask: the statements of SQL PREPARE by name, and what they run
}

// Moves says that the text leaves nothing in its session, so that it may run on a standby if it
// only reads. Drawn does not count, because a function that only reads, as the catalog or the
// configuration says, draws from no sequence.
func (e *Effect) Moves() bool { return e.Set&^Drawn == 0 }

// Change is a setting to which a statement gives a value.
type Change struct {
	Name  string
	Value string // as it stands after "SET name TO"; "" is the value after the log-in
	Local bool   // only until the end of the transaction
}

// KeepFor pins the server until DISCARD ALL, for a reason; "" is no reason.
func (e *Effect) KeepFor(why string) {
	if why != "" {
		e.Add(Keeps)
		e.Keep = cmp.Or(e.Keep, why)
	}
}

// Execute is the effect of executing a statement of SQL PREPARE. What that statement itself does is
// not included.
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

// AdvisoryLock is the one thing that pins a server, can be asked for, and outlives a ROLLBACK.
const AdvisoryLock = "a session's advisory lock"

// pins notes something that pins the server and that the server shows when it is asked.
func (e *Effect) pins(why string) {
	e.Add(Ask)
	e.Pins = cmp.Or(e.Pins, why)
}

// reveals notes that the names of prepared statements are shown. The server is then pinned and
// exposed, so that it shows the client's own statements under the client's own names.
func (e *Effect) reveals(it bool) {
	if it {
		e.Add(Reveals)
		e.KeepFor("pg_prepared_statements was read")
	}
}

// may adds what a function, relation or other name may leave, by the verdict of the catalog. what
// names it.
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
