package session

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

// follow is what a client has changed on servers: what follows it to the next
// one, and what keeps the present one with it.
type follow struct {
	settings    pool.Settings                 // as its last transaction left them
	changes     []effect.Change               // of the open one, as far as texts tell
	expected    int                           // tags of SET and RESET that they will be confirmed by
	confirmed   int                           // those that have come
	mixed       bool                          // they may be of more than one transaction
	mean        pool.Settings                 // of those in force, what gives statements their meaning
	unsure      bool                          // what became of it all is to be asked of the server
	kept        string                        // why the server stays, whatever it says; "": it need not
	found       string                        // why it stays, as the server has said
	suspect     string                        // why it stays unless the statement proves wrong
	names       []string                      // placeholder settings that may have been set
	runs        map[string][]*query.Statement // what SQL PREPARE has prepared
	redo        redo                          // what may have to be judged once more
	drawn       bool                          // the session may have drawn from a sequence on this server
	definitions definitions
	stays       bool // the server may wait for more, after what was sent last
	alone       bool // the next request waits until the server owes nothing
	blindly     bool // statements were prepared while nobody knew what gives them their meaning
	failures    int  // questions without an answer, in a row
	counted     bool // that it keeps its server
	bytes       int  // of settings and runs, about
	changing    int  // of changes
}

// pinned is why the server stays with the session; "": it need not.
func (f *follow) pinned() string { return cmp.Or(f.kept, f.found) }

// certain says that the texts tell all there is to know.
func (f *follow) certain() bool {
	return !f.unsure && f.suspect == "" && (len(f.changes) == 0 || f.confirmed == f.expected)
}

// note takes down what a statement that is being sent will do. quiet: the
// server owes nothing, so all before it is known.
func (f *follow) note(e *effect.Effect, quiet bool) {
	f.mixed = f.mixed || !quiet && len(f.changes) > 0
	switch {
	case !e.Has(effect.Undo):
	case !f.mixed && !f.unsure:
		f.drop()
	case len(f.changes) > 0:
		f.unsure = true
	}
	for i := range e.Changes {
		f.changing += sizeOfChange(&e.Changes[i])
	}
	f.changes = append(f.changes, e.Changes...)
	f.expected += e.Tags
	f.unsure = f.unsure || e.Has(effect.Ask) || e.Has(effect.Partly) && len(f.changes) > 0 || e.Has(effect.Forgets) && f.found != ""
	for _, name := range e.Names {
		f.name(name)
	}
	for _, c := range e.Changes {
		f.name(c.Name)
	}
	if e.Has(effect.Suspect) {
		f.suspect = e.Keep
	} else {
		f.keep(e.Keep)
	}
	if e.Has(effect.Hooks) && (f.found != "" || f.unsure && !e.Has(effect.Ask)) {
		f.keep("a trigger, rule or policy, maybe of a temporary table")
	}
	for name, inner := range e.Prepares {
		if f.runs == nil {
			f.runs = map[string][]*query.Statement{}
		}
		f.runs[name] = slices.Concat(f.runs[name], inner)
		f.bytes += runsSize(name, inner)
	}
	f.drawn = f.drawn || e.Has(effect.Drawn)
	f.alone = f.alone || e.Has(effect.Alone)
	f.stays = f.stays || e.Has(effect.Stays)
	if len(e.Changes) > 0 || e.Has(effect.Undo) {
		f.mean = meaning(f.inForce())
	}
}

func (f *follow) keep(why string) { f.kept = cmp.Or(f.kept, why) }

func (f *follow) name(name string) {
	switch {
	case !strings.Contains(name, ".") || slices.Contains(f.names, name):
	case len(f.names) >= namesLimit || len(name) > nameLimit:
		f.keep("more settings of its own making than can be asked for")
	default:
		f.names = append(f.names, name)
	}
}

// namesLimit bounds the placeholder settings of one session that are asked
// for; who uses more keeps the server.
const namesLimit = 100

// nameLimit bounds each, in bytes.
const nameLimit = 1 << 10

// inForce is the settings as they are now.
func (f *follow) inForce() pool.Settings {
	now := f.settings
	for _, c := range f.changes {
		now = now.With(c.Name, c.Value)
	}
	return now
}

// tag takes down a CommandComplete that was the client's.
func (f *follow) tag(tag []byte) {
	if string(tag) == "SET" || string(tag) == "RESET" {
		f.confirmed++
	}
}

// syntaxError is the SQLSTATE of a statement that PostgreSQL cannot read.
const syntaxError = "42601"

// erred takes down an error that was the client's. first: it was the first
// reply.
func (f *follow) erred(code string, first bool) {
	f.unsure = f.unsure || len(f.changes) > 0
	if code == syntaxError && first {
		f.suspect = ""
	}
}

// commit makes the changes those of the session: its transaction has ended,
// and all that they depend on is certain. What the server reports of itself is
// better than what a text says.
func (f *follow) commit(reported []wire.Param) {
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
		f.settings = f.settings.With(c.Name, value)
	}
	if len(f.changes) > 0 {
		f.weigh()
	}
	f.drop()
}

// doubt: the transaction has ended, and it is not certain which of its changes
// hold. What takes back the next one's does not take back these.
func (f *follow) doubt() { f.unsure = f.unsure || len(f.changes) > 0 }

// drop forgets the changes, as if they had never been.
func (f *follow) drop() {
	if len(f.changes) > 0 {
		f.changes = f.changes[:0]
		f.mean = meaning(f.settings)
	}
	f.expected, f.confirmed, f.changing, f.mixed = 0, 0, 0, false
}

// adopt takes what the server has answered for the truth.
func (f *follow) adopt(a *answered) {
	if f.blindly && !maps.Equal(meaning(a.settings), f.mean) {
		f.keep("a statement was prepared where a function had changed its meaning")
	}
	f.blindly = false
	f.settings, f.found, f.runs = a.settings, a.found, a.runs
	f.unsure, f.failures = false, 0
	f.weigh()
	f.drop()
	f.mean = meaning(f.settings)
}

// discarded: DISCARD ALL was done.
func (f *follow) discarded() {
	*f = follow{alone: f.alone, names: f.names, definitions: f.definitions, redo: f.redo}
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
