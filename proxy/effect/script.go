package effect

import (
	"strings"

	"pgherd/proxy/catalog"
	"pgherd/proxy/query"
	"pgherd/proxy/query/lex"
)

// Of judges a script by its text and by what the catalog says of the
// names in it.
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
		e.AddIf(Partly, e.Has(Undo) || len(e.Changes) > 0) // an error between them decides
		e.Set &^= Undo
	}
	return e
}

// suspect judges what cannot be read: it may do anything, and is judged by its words alone.
func (e *Effect) suspect(script *query.Script, by Judge) {
	e.Add(Suspect | Alone | Ask | Drawn | Peeks | Stays)
	e.KeepFor("a statement that pgherd cannot read (" + script.Problem.String() + ")")
	e.AddIf(Spoils, by.Unseen() == catalog.Spoils)
	if mentions(script.Text, script.Syntax, func(word string) bool { return definers[word] || by.Known.Defines(word) }) {
		e.Add(Makes | Defines)
		e.Defined = [][]string{nil}
	}
}

// definers are the words of which a statement has one, if others may do more after it and
// no function is why. DO has its code in a string.
var definers = map[string]bool{"create": true, "alter": true, "drop": true, "import": true, "prepared": true, "do": true}

// hooks says that a definition may have to do with a trigger, rule or policy.
func hooks(script *query.Script, st *query.Statement) bool {
	return mentions(script.Text[st.Offset:st.Offset+st.Length], script.Syntax, func(word string) bool {
		return word == "trigger" || word == "rule" || word == "policy"
	})
}

// mentions says that a text has one of the words, or cannot be told apart from there on.
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

// Include judges one statement more.
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
	if made && !st.Effects.Has(query.TempTable) { // which may be in pg_temp all the same, by the search_path
		e.AddIf(Ask, !by.Lasting)
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
	e.AddIf(Sends, st.Effects.Has(query.Notifies))
	e.AddIf(Drawn, draws(st))
	e.AddIf(Peeks, st.Kind == query.Do && catalog.Peeks(st.Value))
	if st.Kind == query.DDL && e.Has(Recalls) { // as a default, of which only ADD COLUMN reads it now
		e.Add(Peeks)
		e.Set, e.Recalled = e.Set&^Recalls, ""
	}
}

// form judges the statement by what it is.
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
	case query.DiscardAll: // its tag tells that it was done
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
