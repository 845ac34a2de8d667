package session

import (
	"cmp"
	"slices"
	"strings"

	"pgherd/proxy/catalog"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
)

// Effect is what a text of SQL does to its session once it has been carried
// out, as far as the text and the catalog tell.
type Effect struct {
	Begin   bool     // it begins an explicit transaction
	Changes []Change // settings, in order
	Ask     bool     // it may leave what the server has to be asked for
	Undo    bool     // it takes back what the transaction has set so far
	Partly  bool     // it makes unknown which of the transaction's changes hold
	Pins    string   // it leaves, by its own words, what keeps the server: why
	Keep    string   // it leaves what nobody can ask for: why the server stays, until DISCARD ALL
	Forgets bool     // it may have done away with why the server stays
	Alone   bool     // nothing that follows can be judged before its outcome is known
	Drawn   bool     // it may have drawn from a sequence
	Drew    string   // the function by which it reads what its session drew from a sequence
	Peeks   bool     // it may read that unseen
	Runs    []string // statements of SQL PREPARE that it executes
	Closes  []string // prepared statements that it deallocates
	Makes   bool     // it changes the catalog
	Suspect bool     // it is not in the grammar that pgherd knows
	Reveals bool     // it shows the names of prepared statements
	Stays   bool     // after it the server may wait for more of the same
	Hooks   bool     // it makes tables do more than they say: a trigger, a rule, a policy
	Sends   bool     // it runs NOTIFY, by its own words
	Spoils  bool     // what it leaves outlasts DISCARD ALL: the server is closed in the end

	defined  [][]string                    // what it changes the doings of; see definitions
	sets     int                           // statements whose tag is SET or RESET
	names    []string                      // placeholder settings that it may have set
	prepares map[string][]*query.Statement // by SQL PREPARE, and what they will do
}

// nothing says that it leaves its session as it was.
func (e *Effect) nothing() bool {
	return !e.Begin && len(e.Changes) == 0 && !e.Ask && !e.Undo && !e.Partly && e.Pins == "" && e.Keep == "" && !e.Forgets && !e.Alone &&
		!e.Drawn && e.Drew == "" && !e.Peeks && len(e.Runs) == 0 && len(e.Closes) == 0 && len(e.defined) == 0 && !e.Makes && !e.Suspect && !e.Reveals && e.sets == 0
}

// moves says that what only reads has the same effect on a standby: none. Its
// functions, of which the catalog or the operator says that they read, draw from
// no sequence.
func (e *Effect) moves() bool {
	but := *e
	but.Drawn = false
	return but.nothing()
}

// Change is a setting that a statement gives a value.
type Change struct {
	Name  string
	Value string // to stand after "SET name TO"; "": as after the log-in
	Local bool   // until the transaction's end
}

// judge is what names are judged by.
type judge struct {
	known    *catalog.Snapshot
	harmless func(schema, name string) bool // as the configuration says
	lasting  bool                           // what is made is temporary only if its text says so
}

// field is function for a name after a dot, which need not be a function's.
func (j judge) field(name string) (v catalog.Verdict, called bool) {
	if v, called = j.known.Field(name); j.harmless != nil && j.harmless("", name) {
		v = catalog.Harmless
	}
	return v, called
}

// unseen is what code leaves that nobody sees.
func (j judge) unseen() catalog.Verdict { return j.known.Unseen() }

func (j judge) function(f *query.Function) catalog.Verdict {
	if j.harmless != nil && j.harmless(f.Schema, f.Name) {
		return catalog.Harmless
	}
	return j.known.Function(f.Schema, f.Name)
}

// effectOf judges a script by its text and by what the catalog says of the
// names in it.
func effectOf(script *query.Script, by judge) Effect {
	var e Effect
	if script.Unknown() {
		e.Suspect, e.Alone, e.Ask, e.Drawn, e.Peeks, e.Stays = true, true, true, true, true, true
		e.Keep = "a statement that pgherd cannot read (" + script.Problem.String() + ")"
		e.Spoils = by.unseen() == catalog.Spoils
		return e
	}
	for i := range script.Statements {
		e.add(&script.Statements[i], by)
		e.Hooks = e.Hooks || script.Statements[i].Kind == query.DDL && hooks(script, &script.Statements[i])
	}
	if len(script.Statements) > 1 {
		e.Partly, e.Undo = e.Partly || e.Undo || len(e.Changes) > 0, false // an error between them decides
	}
	return e
}

// hooks says that a definition may have to do with a trigger, rule or policy.
func hooks(script *query.Script, st *query.Statement) bool {
	text := []byte(script.Text[st.Offset : st.Offset+st.Length])
	lexer := query.NewLexer(text, script.Syntax)
	for {
		t := lexer.Next()
		switch t.Kind {
		case query.End, query.Invalid:
			return false
		case query.Word:
			switch strings.ToLower(string(text[t.Start:t.End])) {
			case "trigger", "rule", "policy":
				return true
			}
		}
	}
}

// add judges one statement.
func (e *Effect) add(st *query.Statement, by judge) {
	e.form(st, by)
	for at := st; at != nil; at = at.Inner { // EXPLAIN EXECUTE, CREATE TABLE AS EXECUTE
		if at.Kind == query.Execute {
			e.Runs = append(e.Runs, at.Name)
		}
	}
	e.calls(st, by)
	for _, table := range st.Tables {
		e.may(by.known.Relation(table.Schema, table.Name, table.Write), "table "+table.Name)
		e.reveals(table.Name == "pg_prepared_statements")
	}
	if defines(st, by) {
		e.defined = append(e.defined, objects(st, by))
	}
	e.Makes = e.Makes || st.Kind == query.DDL || tableAs(st)
	e.may(by.known.Anything(), "an operator, cast or type of this database")
	e.Ask = e.Ask || st.Kind == query.DDL && !(st.Plain && by.lasting)
	made := tableAs(st)
	if made || st.Kind == query.DDL {
		e.may(by.known.DDL(), "an event trigger")
	}
	if made && !st.Effects.Has(query.TempTable) { // which may be in pg_temp all the same, by the search_path
		e.Ask = e.Ask || !by.lasting
	}
	switch has := st.Effects.Has; {
	case has(query.Listening):
		e.pins("LISTEN " + st.Name)
	case has(query.TempTable) && !has(query.OnCommitDrop):
		e.pins("a temporary object")
	case has(query.AdvisoryLock):
		e.pins("a session's advisory lock")
	case has(query.HoldCursor):
		e.pins("a cursor WITH HOLD")
	}
	e.Sends = e.Sends || st.Effects.Has(query.Notifies)
	e.Drawn = e.Drawn || draws(st)
	e.Peeks = e.Peeks || st.Kind == query.Do && catalog.Peeks(st.Value)
	if st.Kind == query.DDL && e.Drew != "" { // as a default, of which only ADD COLUMN reads it now
		e.Peeks, e.Drew = true, ""
	}
}

// defines says that other statements may do more after a statement than before: those
// that reach what it names as its Objects, or any.
func defines(st *query.Statement, by judge) bool {
	switch {
	case st.Kind == query.CommitPrepared:
		return true
	case st.Kind == query.DDL && !st.Plain:
		return true
	case st.Kind == query.DDL, tableAs(st): // of a materialized view the query runs again
		return by.known.DDL() != catalog.Harmless || ties(st, by) || st.Inner != nil && ties(st.Inner, by)
	case st.Kind == query.Do && catalog.Defines(st.Value):
		return true
	}
	return slices.ContainsFunc(st.Functions, func(f query.Function) bool {
		return by.known.Defines(f.Name) && (by.harmless == nil || !by.harmless(f.Schema, f.Name))
	})
}

// ties says that a definition has something call what is not harmless, or may be defined
// anew: who does that has to know.
func ties(st *query.Statement, by judge) bool {
	return slices.ContainsFunc(st.Fields, by.known.Own) || slices.ContainsFunc(st.Functions, func(f query.Function) bool {
		return by.function(&f) != catalog.Harmless || catalog.ReadsDrawn(f.Name) || by.known.Own(f.Name)
	})
}

// objects are those of a definition, if no event trigger may define more.
func objects(st *query.Statement, by judge) []string {
	if by.known.DDL() != catalog.Harmless {
		return nil
	}
	return st.Objects
}

// tableAs says that a statement makes a table of what it reads.
func tableAs(st *query.Statement) bool {
	return st.Kind == query.CreateTableAs || st.Kind == query.ExplainAnalyze && st.Inner.Kind == query.CreateTableAs
}

// draws says that a statement may draw from a sequence: by a column's default,
// or in a function or trigger.
func draws(st *query.Statement) bool {
	const by = query.SetsSequence | query.AnonymousCode | query.UnknownFunction | query.DataModifyingCTE
	for at := st; at != nil; at = at.Inner {
		switch at.Kind {
		case query.Insert, query.Update, query.Delete, query.Merge, query.CopyIn, query.CopyFrom, query.CreateTableAs, query.Execute, query.DDL:
			return true
		}
		if at.Effects.Has(by) {
			return true
		}
	}
	return false
}

// pins notes what will be found when the server is asked.
func (e *Effect) pins(why string) {
	e.Ask, e.Pins = true, cmp.Or(e.Pins, why)
}

// reveals: names of prepared statements are shown. The server stays then, with
// nothing but the client's own, under its own names.
func (e *Effect) reveals(it bool) {
	if it {
		e.Reveals = true
		e.keep("pg_prepared_statements was read")
	}
}

// may notes what carrying out a name may leave behind.
func (e *Effect) may(v catalog.Verdict, what string) {
	switch v {
	case catalog.Reveals:
		e.reveals(true)
		e.Ask, e.Spoils = true, true
	case catalog.Keeps, catalog.Spoils:
		e.keep(what)
		e.Ask = true
		e.Spoils = e.Spoils || v == catalog.Spoils
	case catalog.Asks:
		e.Ask = true
	}
}

func (e *Effect) keep(why string) { e.Keep = cmp.Or(e.Keep, why) }

// form judges the statement by what it is.
func (e *Effect) form(st *query.Statement, by judge) {
	switch st.Kind {
	case query.Begin:
		e.Begin, e.Stays = true, true
	case query.CopyIn:
		e.Stays = true
	case query.Commit, query.RollbackTo:
		e.Partly = e.Partly || st.Chain || st.Kind == query.RollbackTo
	case query.Rollback:
		e.Undo, e.Partly = !st.Chain, e.Partly || st.Chain
	case query.PrepareTransaction:
		e.Ask = true
	case query.ResetAll, query.SetSessionCharacteristics, query.SetSessionAuthorization:
		e.Ask, e.Alone = true, true
	case query.SetTransaction:
		e.sets++
	case query.Set, query.SetRole, query.Reset:
		e.sets++
		e.set(st)
	case query.DiscardAll: // its tag tells that it was done
		e.Alone = true
	case query.DeallocateAll:
		e.Alone, e.Ask = true, true
	case query.Deallocate:
		e.Ask, e.Closes = true, append(e.Closes, st.Name)
	case query.DiscardTemp, query.UnlistenAll, query.Unlisten, query.ClosePortal, query.CloseAll:
		e.Forgets = true
	case query.Prepare:
		e.Ask = true
		if e.prepares == nil {
			e.prepares = map[string][]*query.Statement{}
		}
		e.prepares[st.Name] = append(e.prepares[st.Name], st.Inner)
	case query.Load:
		e.keep("LOAD " + st.Name)
		e.Spoils = true
	case query.DDL:
		e.Forgets = true
	case query.Other:
		if st.Class == query.Unknown {
			e.may(by.unseen(), "a statement that pgherd does not know")
		}
	}
}

// set judges SET and RESET of one setting.
func (e *Effect) set(st *query.Statement) {
	c := Change{Name: st.Name, Value: st.Value, Local: st.Local}
	if st.Kind == query.Reset {
		c.Value = ""
	}
	switch {
	case st.Name == "transaction_isolation", st.Name == "transaction_read_only", st.Name == "transaction_deferrable": // of the transaction alone
		return
	case st.Name == "session_authorization":
		e.Alone, e.Ask = true, true
		return
	case st.Name == "seed":
		e.keep("SET seed")
		e.Spoils = true
		return
	case st.Class == query.Unknown, !ascii(st.Name):
		e.Ask = true
		e.placeholder(st.Name)
		return
	case st.Name == "standard_conforming_strings", st.Name == "client_encoding":
		e.Alone = true // the next statement cannot be read before this is known
	}
	e.Changes = append(e.Changes, c)
}

// placeholder notes a setting that pg_settings does not show.
func (e *Effect) placeholder(name string) {
	switch {
	case !ascii(name): // encodings and locales differ in what it is to the server
		e.keep("a setting whose name is not ASCII")
	case strings.Contains(name, "."):
		e.names = append(e.names, name)
	}
}

// calls judges the functions that a statement calls.
func (e *Effect) calls(st *query.Statement, by judge) {
	functions, fields := st.Functions, st.Fields
	if st.Kind == query.Explain && st.Inner != nil { // planning may call them
		functions, fields = st.Inner.Functions, st.Inner.Fields
	}
	for i := range functions {
		e.call(&functions[i], by)
	}
	for _, name := range fields {
		v, called := by.field(name)
		e.may(v, "function "+name)
		e.Drawn = e.Drawn || called
	}
	switch {
	case st.Kind == query.Do:
		e.may(by.unseen(), "DO")
	case st.Effects.Has(query.SetsConfig) && !slices.ContainsFunc(functions, func(f query.Function) bool { return f.Name == setConfig }):
		e.Ask = true // an UPDATE of pg_settings
	case st.Effects.Has(query.UnknownFunction) && len(functions) == 0:
		e.may(by.unseen(), "what pgherd cannot look into")
	}
}

func (e *Effect) call(f *query.Function, by judge) {
	switch {
	case f.Name == "pg_prepared_statement":
		e.reveals(true)
	case f.Mark != query.MarkSession: // it may have an overload of the database's own
		e.may(by.function(f), "function "+f.Name)
	case f.Name == setConfig:
		e.setConfig(f)
	case catalog.Outlasts(f.Name):
		e.keep(f.Name)
		e.Spoils = true
	case catalog.ReadsDrawn(f.Name):
		e.Drew = f.Name
	case f.Name != "nextval" && f.Name != "setval":
		e.Ask = true
	}
}

const setConfig = "set_config"

// setConfig judges set_config(name, value, is_local).
func (e *Effect) setConfig(f *query.Function) {
	if len(f.Arguments) != 3 || !f.Arguments[0].Constant || f.Arguments[0].Altered {
		e.may(catalog.Keeps, "set_config of a setting that the statement does not name")
		return
	}
	name := query.Fold(f.Arguments[0].Text)
	e.Alone = e.Alone || name == "standard_conforming_strings" || name == "client_encoding"
	local := f.Arguments[2].Constant && !f.Arguments[2].Altered && choiceIsTrue(f.Arguments[2].Text)
	if local && !meant[name] && !e.Alone {
		return // gone at the transaction's end
	}
	e.Ask = true
	e.placeholder(name)
}

func choiceIsTrue(text string) bool {
	switch strings.ToLower(text) {
	case "t", "true", "on", "yes", "y", "1":
		return true
	}
	return false
}

// meant are the settings that give a statement its meaning when it is parsed.
var meant = map[string]bool{
	"datestyle": true, "intervalstyle": true, "timezone": true, "standard_conforming_strings": true,
	"backslash_quote": true, "transform_null_equals": true, "array_nulls": true, "xmloption": true, "search_path": true,
	"role": true, "session_authorization": true, // "$user" in search_path
}

// meaning is the part of the settings that statements parsed under them depend on.
func meaning(settings pool.Settings) pool.Settings {
	var part pool.Settings
	for name := range settings {
		if meant[name] {
			part = part.With(name, settings[name])
		}
	}
	return part
}
