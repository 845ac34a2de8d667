// Package track keeps what a client has changed on servers: what follows the client to its next
// server, and what pins its present one. It is told what statements do, how they end, and what the
// server answers when it is asked; it sends nothing itself.
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
	Settings pool.Settings                 // as its last transaction has left them
	Mean     pool.Settings                 // those of the settings in force that give statements their meaning
	Runs     map[string][]*query.Statement // what each statement of SQL PREPARE runs
	Unsure   bool                          // the server has to be asked what of all this holds
	Alone    bool                          // the next request waits until the server owes nothing
	Blindly  bool                          // statements were prepared while Mean was not known

	before    before
	changes   []effect.Change // of the open transaction, as far as texts tell
	expected  int             // how many tags SET and RESET will confirm the changes
	confirmed int             // how many of these tags have come
	mixed     bool            // the changes may be those of more than one transaction
	kept      string          // why the server is pinned, whatever it answers; "" if it is not
	found     string          // why the server is pinned, by its own answer; "" if it is not
	locks     string          // a lock of the session's that the open transaction may have taken; "" if none
	suspect   string          // why the server is pinned, unless the statement is a syntax error
	names     []string        // placeholder settings that may have been set
	failures  int             // how many questions in a row were not answered
	counted   bool            // NewlyPinned has seen that the server is pinned
	bytes     int             // of Settings and Runs, roughly
	changing  int             // bytes of changes
}

// Pinned is why the server stays with the session; "" if it need not.
func (f *Tracker) Pinned() string { return cmp.Or(f.kept, f.found) }

// Kept is why the server stays with the session whatever it answers; "" if it need not.
func (f *Tracker) Kept() string { return f.kept }

// NewlyPinned says that the server is pinned now, and was not when this was last called.
func (f *Tracker) NewlyPinned() bool {
	before := f.counted
	f.counted = f.Pinned() != ""
	return f.counted && !before
}

// Certain says that the texts of the statements tell all that there is to know.
func (f *Tracker) Certain() bool {
	return !f.Unsure && f.suspect == "" && (len(f.changes) == 0 || f.confirmed == f.expected)
}

// Unmixed says that all changes noted are those of one transaction.
func (f *Tracker) Unmixed() bool { return !f.mixed }

// AskAhead says that the server is to be asked, and that an answer in the same round trip as the
// statement would tell all.
func (f *Tracker) AskAhead() bool { return f.Unsure && f.kept == "" && f.suspect == "" }

// Names are the placeholder settings for which the server has to be asked.
func (f *Tracker) Names() []string { return f.names }

// Asked notes that the server was asked, and whether the question has failed. Adopt begins a new
// count.
func (f *Tracker) Asked(failed bool) {
	if f.failures++; failed && f.failures >= failuresLimit {
		f.Keep("its state cannot be asked for")
	}
}

// GivenUp says that too many questions in a row had no answer.
func (f *Tracker) GivenUp() bool { return f.failures >= failuresLimit }

// failuresLimit is how many questions in a row may fail, be it by a cancel or a timeout, before the
// server is pinned for good.
const failuresLimit = 3

// Settle notes that all statements have ended. A suspect one that was no syntax error pins the
// server.
func (f *Tracker) Settle() {
	f.Keep(f.suspect)
	f.suspect = ""
}

// Reset notes that the server is reset, so that nothing pins it any more.
func (f *Tracker) Reset() {
	f.Drop()
	f.Unsure, f.suspect, f.kept, f.found, f.locks = false, "", "", "", ""
}

// Note notes what a statement that is about to be sent will do. quiet says that the server owes
// nothing, so that the outcome of all earlier statements is known.
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
	if e.Pins == effect.AdvisoryLock {
		f.locks = e.Pins
	}
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

// Keep pins the server for this reason until DISCARD ALL or a reset; "" is no reason.
func (f *Tracker) Keep(why string) { f.kept = cmp.Or(f.kept, why) }

// name notes a placeholder setting, for which the server has to be asked.
func (f *Tracker) name(name string) {
	switch {
	case !strings.Contains(name, ".") || slices.Contains(f.names, name):
	case len(f.names) >= namesLimit || len(name) > nameLimit:
		f.Keep("more settings of its own making than can be asked for")
	default:
		f.names = append(f.names, name)
	}
}

// namesLimit bounds the placeholder settings of one session for which the server is asked. A
// session with more of them pins its server.
const namesLimit = 100

// nameLimit bounds the name of each, in bytes.
const nameLimit = 1 << 10

// InForce is the settings as they are now.
func (f *Tracker) InForce() pool.Settings {
	now := f.Settings
	for _, c := range f.changes {
		now = now.With(c.Name, c.Value)
	}
	return now
}

// Confirm notes the tag of a statement of the client's that has ended.
func (f *Tracker) Confirm(tag []byte) {
	if string(tag) == "SET" || string(tag) == "RESET" {
		f.confirmed++
	}
}

// syntaxError is the SQLSTATE of a statement that PostgreSQL cannot read.
const syntaxError = "42601"

// Failed notes an error of a statement of the client's. first says that it came before any other
// reply, so that no part of the text has run.
func (f *Tracker) Failed(code string, first bool) {
	f.Unsure = f.Unsure || len(f.changes) > 0
	if code == syntaxError && first {
		f.suspect = ""
	}
}

// Commit makes the changes of a transaction that has ended the session's own. It is called when
// Certain. A value that the server reports itself counts more than the one in the text.
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

// Begin notes that another transaction begins: what holds now is left if that is lost.
func (f *Tracker) Begin() { f.before, f.locks = before{f.Pinned(), f.Unsure}, "" }

// Outlasts notes that a transaction has ended while more was sent. What it may have left is
// left if that is lost; what cannot be told from what is to come is not certain then.
func (f *Tracker) Outlasts() {
	if f.Unsure != f.before.unsure || len(f.changes) > 0 || f.suspect != "" {
		f.before.unsure = true
	}
	f.before.pinned, f.locks = cmp.Or(f.Pinned(), f.locks), ""
}

// before is what held when the open transaction began.
type before struct {
	pinned string
	unsure bool
}

// Lose forgets the open transaction, which was lost with its server, and with it whatever
// it had set there. It returns why the session needed that server already before, and
// whether it was known then what it had set.
func (f *Tracker) Lose() (pinned string, certain bool) {
	b := f.before
	f.Drop()
	f.kept, f.found, f.locks, f.Unsure, f.suspect, f.before = b.pinned, "", "", b.unsure, "", before{}
	maps.DeleteFunc(f.Runs, func(name string, _ []*query.Statement) bool {
		_, kept := f.Settings[pool.PreparedName(name)]
		return !kept // it was prepared in the transaction, or for it
	})
	return b.pinned, !b.unsure
}

// Outlives is what the open transaction may have left that a ROLLBACK does not take back; "":
// nothing.
func (f *Tracker) Outlives() string { return cmp.Or(f.kept, f.locks) }

// Doubt notes that the transaction has ended, and that it is not certain which of its changes hold.
// A ROLLBACK of the next transaction will not take these back.
func (f *Tracker) Doubt() {
	f.Unsure = f.Unsure || len(f.changes) > 0
}

// Drop forgets the changes, as if they had never been.
func (f *Tracker) Drop() {
	if len(f.changes) > 0 {
		f.changes = f.changes[:0]
		f.Mean = meaning(f.Settings)
	}
	f.expected, f.confirmed, f.changing, f.mixed = 0, 0, 0, false
}

// Adopt replaces what is noted by what the server has answered.
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

// Discarded notes that DISCARD ALL was done.
func (f *Tracker) Discarded() {
	*f = Tracker{Alone: f.Alone, names: f.names}
}

// meaning is the part of the settings that gives statements parsed under them their meaning.
func meaning(settings pool.Settings) pool.Settings {
	var part pool.Settings
	for name := range settings {
		if effect.Meant(name) {
			part = part.With(name, settings[name])
		}
	}
	return part
}
