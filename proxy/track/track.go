// Package track keeps what a client has changed on servers: what follows it to the next
// one, and what keeps the present one with it. It is told what statements do, how they end,
// and what the server says; it asks nothing itself.
package track

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"pgherd/proxy/effect"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// Tracker is what one client has changed.
type Tracker struct {
	Settings pool.Settings                 // as its last transaction left them
	Mean     pool.Settings                 // of those in force, what gives statements their meaning
	Runs     map[string][]*query.Statement // what SQL PREPARE has prepared
	Unsure   bool                          // what became of it all is to be asked of the server
	Alone    bool                          // the next request waits until the server owes nothing
	Blindly  bool                          // statements were prepared while nobody knew what gives them their meaning

	changes   []effect.Change // of the open transaction, as far as texts tell
	expected  int             // tags of SET and RESET that they will be confirmed by
	confirmed int             // those that have come
	mixed     bool            // they may be of more than one transaction
	kept      string          // why the server stays, whatever it says; "": it need not
	found     string          // why it stays, as the server has said
	suspect   string          // why it stays unless the statement proves wrong
	names     []string        // placeholder settings that may have been set
	failures  int             // questions without an answer, in a row
	counted   bool            // that it keeps its server
	bytes     int             // of settings and runs, about
	changing  int             // of changes
}

// Pinned is why the server stays with the session; "": it need not.
func (f *Tracker) Pinned() string { return cmp.Or(f.kept, f.found) }

// Kept is why it stays whatever the server says of it; "": it need not.
func (f *Tracker) Kept() string { return f.kept }

// NewlyPinned says that the server stays since this was asked last.
func (f *Tracker) NewlyPinned() bool {
	before := f.counted
	f.counted = f.Pinned() != ""
	return f.counted && !before
}

// Certain says that the texts tell all there is to know.
func (f *Tracker) Certain() bool {
	return !f.Unsure && f.suspect == "" && (len(f.changes) == 0 || f.confirmed == f.expected)
}

// Unmixed says that all that is noted is of one transaction.
func (f *Tracker) Unmixed() bool { return !f.mixed }

// AskAhead says that an answer, had with that to the statement, would tell all.
func (f *Tracker) AskAhead() bool { return f.Unsure && f.kept == "" && f.suspect == "" }

// Names are the placeholder settings that the server has to be asked for.
func (f *Tracker) Names() []string { return f.names }

// Asked notes that the server has been asked, and whether in vain. It counts until Adopt.
func (f *Tracker) Asked(failed bool) {
	if f.failures++; failed && f.failures >= failuresLimit {
		f.Keep("its state cannot be asked for")
	}
}

// GivenUp says that the server has been asked often enough in vain.
func (f *Tracker) GivenUp() bool { return f.failures >= failuresLimit }

// failuresLimit is how many questions in a row may fail, canceled or out of
// time, before the server stays for good.
const failuresLimit = 3

// Settle: all statements have ended. One that has not proven wrong keeps the server.
func (f *Tracker) Settle() {
	f.Keep(f.suspect)
	f.suspect = ""
}

// Reset: the server is cleaned, and nothing keeps it any more.
func (f *Tracker) Reset() {
	f.Drop()
	f.Unsure, f.suspect, f.kept, f.found = false, "", "", ""
}

// Note takes down what a statement that is being sent will do. quiet: the
// server owes nothing, so all before it is known.
func (f *Tracker) Note(e *effect.Effect, quiet bool) {
	f.mixed = f.mixed || !quiet && len(f.changes) > 0
	switch {
	case !e.Has(effect.Undo):
	case !f.mixed && !f.Unsure:
		f.Drop()
	case len(f.changes) > 0:
		f.Unsure = true
	}
	for i := range e.Changes {
		f.changing += sizeOfChange(&e.Changes[i])
	}
	f.changes = append(f.changes, e.Changes...)
	f.expected += e.Tags
	f.Unsure = f.Unsure || e.Has(effect.Ask) || e.Has(effect.Partly) && len(f.changes) > 0 || e.Has(effect.Forgets) && f.found != ""
	for _, name := range e.Names {
		f.name(name)
	}
	for _, c := range e.Changes {
		f.name(c.Name)
	}
	if e.Has(effect.Suspect) {
		f.suspect = e.Keep
	} else {
		f.Keep(e.Keep)
	}
	if e.Has(effect.Hooks) && (f.found != "" || f.Unsure && !e.Has(effect.Ask)) {
		f.Keep("a trigger, rule or policy, maybe of a temporary table")
	}
	for name, inner := range e.Prepares {
		if f.Runs == nil {
			f.Runs = map[string][]*query.Statement{}
		}
		f.Runs[name] = slices.Concat(f.Runs[name], inner)
		f.bytes += runsSize(name, inner)
	}
	f.Alone = f.Alone || e.Has(effect.Alone)
	if len(e.Changes) > 0 || e.Has(effect.Undo) {
		f.Mean = meaning(f.InForce())
	}
}

func (f *Tracker) Keep(why string) { f.kept = cmp.Or(f.kept, why) }

func (f *Tracker) name(name string) {
	switch {
	case !strings.Contains(name, ".") || slices.Contains(f.names, name):
	case len(f.names) >= namesLimit || len(name) > nameLimit:
		f.Keep("more settings of its own making than can be asked for")
	default:
		f.names = append(f.names, name)
	}
}

// namesLimit bounds the placeholder settings of one session that are asked
// for; who uses more keeps the server.
const namesLimit = 100

// nameLimit bounds each, in bytes.
const nameLimit = 1 << 10

// InForce is the settings as they are now.
func (f *Tracker) InForce() pool.Settings {
	now := f.Settings
	for _, c := range f.changes {
		now = now.With(c.Name, c.Value)
	}
	return now
}

// Confirm takes down a CommandComplete that was the client's.
func (f *Tracker) Confirm(tag []byte) {
	if string(tag) == "SET" || string(tag) == "RESET" {
		f.confirmed++
	}
}

// syntaxError is the SQLSTATE of a statement that PostgreSQL cannot read.
const syntaxError = "42601"

// Failed takes down an error that was the client's. first: it was the first
// reply.
func (f *Tracker) Failed(code string, first bool) {
	f.Unsure = f.Unsure || len(f.changes) > 0
	if code == syntaxError && first {
		f.suspect = ""
	}
}

// Commit makes the changes those of the session: its transaction has ended,
// and all that they depend on is certain. What the server reports of itself is
// better than what a text says.
func (f *Tracker) Commit(reported []wire.Param) {
	for _, c := range f.changes {
		if c.Local {
			continue
		}
		value := c.Value
		for _, p := range reported {
			if value != "" && strings.EqualFold(p.Name, c.Name) {
				value = settingValue(c.Name, p.Value)
			}
		}
		f.Settings = f.Settings.With(c.Name, value)
	}
	if len(f.changes) > 0 {
		f.weigh()
	}
	f.Drop()
}

// Doubt: the transaction has ended, and it is not certain which of its changes
// hold. What takes back the next one's does not take back these.
func (f *Tracker) Doubt() { f.Unsure = f.Unsure || len(f.changes) > 0 }

// Drop forgets the changes, as if they had never been.
func (f *Tracker) Drop() {
	if len(f.changes) > 0 {
		f.changes = f.changes[:0]
		f.Mean = meaning(f.Settings)
	}
	f.expected, f.confirmed, f.changing, f.mixed = 0, 0, 0, false
}

// Adopt takes what the server has answered for the truth.
func (f *Tracker) Adopt(a *Answer) {
	if f.Blindly && !maps.Equal(meaning(a.settings), f.Mean) {
		f.Keep("a statement was prepared where a function had changed its meaning")
	}
	f.Blindly = false
	f.Settings, f.found, f.Runs = a.settings, a.found, a.runs
	f.Unsure, f.failures = false, 0
	f.weigh()
	f.Drop()
	f.Mean = meaning(f.Settings)
}

// Discarded: DISCARD ALL was done.
func (f *Tracker) Discarded() {
	*f = Tracker{Alone: f.Alone, names: f.names}
}

// meaning is the part of the settings that statements parsed under them depend on.
func meaning(settings pool.Settings) pool.Settings {
	var part pool.Settings
	for name := range settings {
		if effect.Meant(name) {
			part = part.With(name, settings[name])
		}
	}
	return part
}
