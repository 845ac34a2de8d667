package effect

import (
	"strings"

	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
	"pgherd/proxy/query/lex"
)

// Of is the effect of a script, by its text and by what the catalog says of the names in it.
func Of(script *query.Script, by Judge) Effect {
	var e Effect
	if script.Unknown() {
		e.suspect(script, by)
		return e
	}
	for i := range script.Statements {
		e.Include(&script.Statements[i], by)
		e.AddIf(Hooks, script.Statements[i].Kind == query.DDL && hooks(script, &script.Statements[i]))
	}
	if len(script.Statements) > 1 {
		e.AddIf(Partly, e.Has(Undo) || len(e.Changes) > 0) // an error between the statements decides what holds
		e.Set &^= Undo
	}
	return e
}

// suspect judges a text that pgherd cannot parse. It may do anything (I3), so only the words in it
// count.
func (e *Effect) suspect(script *query.Script, by Judge) {
	e.Add(Suspect | Alone | Ask | Drawn | Peeks | Stays)
	e.KeepFor("a statement that pgherd cannot read (" + script.Problem.String() + ")")
	e.AddIf(Spoils, by.Unseen() == catalog.Spoils)
	if mentions(script.Text, script.Syntax, func(word string) bool { return definers[word] || by.Known.Defines(word) }) {
		e.Add(Makes | Defines)
		e.Defined = [][]string{nil}
	}
}

// definers are words of SQL. A statement that changes what other statements do, and not by calling
// a function, has one of them. DO has its code in a string.
var definers = map[string]bool{"create": true, "alter": true, "drop": true, "import": true, "prepared": true, "do": true}

// hooks says that a definition may be about a trigger, rule or policy.
func hooks(script *query.Script, st *query.Statement) bool {
	return mentions(script.Text[st.Offset:st.Offset+st.Length], script.Syntax, func(word string) bool {
		return word == "trigger" || word == "rule" || word == "policy"
	})
}

// mentions says that a text has one of the words, or that its tokens cannot be read.
func mentions(sql string, syntax query.Syntax, is func(word string) bool) bool {
	text := []byte(sql)
	lexer := lex.New(text, syntax)
	for {
		t := lexer.Next()
		switch t.Kind {
		case lex.End:
			return false
		case lex.Invalid:
			return true
		case lex.Word, lex.QuotedName:
			if is(strings.ToLower(strings.Trim(string(text[t.Start:t.End]), `"`))) {
				return true
			}
		}
	}
}

// Include adds the effect of one more statement.
func (e *Effect) Include(st *query.Statement, by Judge) {
	e.form(st, by)
	for at := st; at != nil; at = at.Inner { // EXPLAIN EXECUTE, CREATE TABLE AS EXECUTE
		if at.Kind == query.Execute {
			e.executes(at.Name)
		}
	}
	e.calls(st, by)
	for _, table := range st.Tables {
		e.may(by.Known.Relation(table.Schema, table.Name, table.Write), "table "+table.Name)
		e.reveals(table.Name == "pg_prepared_statements")
	}
	if defines(st, by) {
		e.Add(Defines)
		e.Defined = append(e.Defined, objects(st, by))
	}
	e.AddIf(Makes, st.Kind == query.DDL || tableAs(st))
	e.may(by.Known.Anything(), "an operator, cast or type of this database")
	e.AddIf(Ask, st.Kind == query.DDL && !(st.Plain && by.Lasting))
	made := tableAs(st)
	if made || st.Kind == query.DDL {
		e.may(by.Known.DDL(), "an event trigger")
	}
	if made && !st.Effects.Has(query.TempTable) { // by the search_path the table may be in pg_temp all the same
		e.AddIf(Ask, !by.Lasting)
	}
	switch has := st.Effects.Has; {
	case has(query.Listening):
		e.pins("LISTEN " + st.Name)
	case has(query.TempTable) && !has(query.OnCommitDrop):
		e.pins("a temporary object")
	case has(query.AdvisoryLock):
		e.pins(AdvisoryLock)
	case has(query.HoldCursor):
		e.pins("a cursor WITH HOLD")
	}
	e.AddIf(Sends, st.Effects.Has(query.Notifies))
	e.AddIf(Drawn, draws(st))
	e.AddIf(Peeks, st.Kind == query.Do && catalog.Peeks(st.Value))
	if st.Kind == query.DDL && e.Has(Recalls) { // a currval in a default runs later, except in ADD COLUMN
		e.Add(Peeks)
		e.Set, e.Recalled = e.Set&^Recalls, ""
	}
}

// form adds what a statement does by its kind.
func (e *Effect) form(st *query.Statement, by Judge) {
	switch st.Kind {
	case query.Begin:
		e.Add(Begin | Stays)
	case query.CopyIn:
		e.Add(Stays)
	case query.Commit, query.RollbackTo:
		e.AddIf(Partly, st.Chain || st.Kind == query.RollbackTo)
	case query.Rollback:
		e.AddIf(Undo, !st.Chain)
		e.AddIf(Partly, st.Chain)
	case query.PrepareTransaction:
		e.Add(Ask)
	case query.ResetAll, query.SetSessionCharacteristics, query.SetSessionAuthorization:
		e.Add(Ask | Alone)
	case query.SetTransaction:
		e.tag()
	case query.Set, query.SetRole, query.Reset:
		e.tag()
		e.set(st)
	case query.DiscardAll: // its tag says that it was done
		e.Add(Alone)
	case query.DeallocateAll:
		e.Add(Alone | Ask)
	case query.Deallocate:
		e.Add(Ask)
		e.Closes = append(e.Closes, st.Name)
	case query.DiscardTemp, query.UnlistenAll, query.Unlisten, query.ClosePortal, query.CloseAll:
		e.Add(Forgets)
	case query.Prepare:
		e.Add(Ask)
		if e.Prepares == nil {
			e.Prepares = map[string][]*query.Statement{}
		}
		e.Prepares[st.Name] = append(e.Prepares[st.Name], st.Inner)
	case query.Load:
		e.KeepFor("LOAD " + st.Name)
		e.Add(Spoils)
	case query.DDL:
		e.Add(Forgets)
	case query.Other:
		if st.Class == query.Unknown {
			e.may(by.Unseen(), "a statement that pgherd does not know")
		}
	}
}

// draws says that a statement may draw from a sequence, which it may do by the default of a column,
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
