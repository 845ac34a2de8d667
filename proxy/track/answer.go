package track

import (
	"cmp"
	"strings"

	"pgherd/proxy/pool"
	"pgherd/proxy/query"
)

// Answer is what the server says about the state of a session.
type Answer struct {
	Count string // how many statements were prepared by the protocol

	settings pool.Settings
	found    string // why the server has to stay with the session; "" if it need not
	runs     map[string][]*query.Statement
}

// stateQuestion asks for what a session has left on the server. Its rows have a letter, a name and
// a value. It means the same under any search_path.
//
// It sets its isolation level because a serializable deferrable transaction, which may be the
// session's default, could have to wait for others.
const stateQuestion = `SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
{timed}SELECT 's', s.name, s.setting FROM pg_catalog.pg_show_all_settings() s
 WHERE s.source OPERATOR(pg_catalog.=) 'session' AND NOT s.name OPERATOR(pg_catalog.~) '^transaction_({else}isolation|read_only|deferrable)$'
UNION ALL SELECT 'i', 'session_authorization', session_user::pg_catalog.text
UNION ALL SELECT 'i', 'role', pg_catalog.current_setting('role')
UNION ALL SELECT 'p', p.name, p.statement FROM pg_catalog.pg_prepared_statement() p WHERE p.from_sql
UNION ALL SELECT 'n', '', pg_catalog.count(*)::pg_catalog.text FROM pg_catalog.pg_prepared_statement() p WHERE NOT p.from_sql
UNION ALL SELECT 'c', c.name, '' FROM pg_catalog.pg_cursor() c
UNION ALL SELECT 'l', l, '' FROM pg_catalog.pg_listening_channels() l
UNION ALL SELECT 'a', a.mode, '' FROM pg_catalog.pg_lock_status() a
 WHERE a.locktype OPERATOR(pg_catalog.=) 'advisory' AND a.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
UNION ALL SELECT 't', '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_depend d
 WHERE d.refclassid OPERATOR(pg_catalog.=) 2615 AND d.refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())`

// stateTimed is for a session with a transaction_timeout. The question lifts the timeout, which
// would otherwise end the server and with it the client's session. It asks for the value before
// that.
const stateTimed = `SELECT 's', s.name, s.setting FROM pg_catalog.pg_show_all_settings() s
 WHERE s.source OPERATOR(pg_catalog.=) 'session' AND s.name OPERATOR(pg_catalog.=) 'transaction_timeout';
SET LOCAL transaction_timeout = 0;
`

var (
	stateUsual  = strings.NewReplacer("{timed}", "", "{else}", "").Replace(stateQuestion)
	stateLifted = strings.NewReplacer("{timed}", stateTimed, "{else}", "timeout|").Replace(stateQuestion)
)

// Question is the SQL that asks for what a session has left, and for the values of placeholder
// settings, which no catalog shows. timed says that the session may have a transaction_timeout.
func Question(placeholders []string, timed bool) string {
	var sql strings.Builder
	if timed {
		sql.WriteString(stateLifted)
	} else {
		sql.WriteString(stateUsual)
	}
	for _, name := range placeholders {
		name := query.Literal(name)
		sql.WriteString("\nUNION ALL SELECT 'x', " + name + ", '=' OPERATOR(pg_catalog.||) pg_catalog.current_setting(" + name + ", true)")
	}
	return sql.String()
}

// listed are the settings whose value is a list of names.
var listed = map[string]bool{"search_path": true, "temp_tablespaces": true, "session_preload_libraries": true,
	"local_preload_libraries": true}

// Read reads the answer. user is the role that the server has logged in as.
func Read(rows [][]string, user string, syntax query.Syntax) *Answer {
	a := new(Answer)
	for _, row := range rows {
		if len(row) == 3 {
			a.read(row[0], row[1], row[2], user, syntax)
		}
	}
	return a
}

func (a *Answer) read(what, name, value, user string, syntax query.Syntax) {
	switch what {
	case "s":
		a.settings = a.settings.With(query.Fold(name), settingValue(query.Fold(name), value))
	case "x":
		if value, set := strings.CutPrefix(value, "="); set {
			a.settings = a.settings.With(name, query.Literal(value))
		}
	case "i":
		if value != "none" && (name != "session_authorization" || value != user) {
			a.settings = a.settings.With(name, query.Literal(value))
		}
	case "p":
		a.prepared(name, value, syntax)
	case "n":
		a.Count = value
	case "c":
		a.find("cursor " + name)
	case "l":
		a.find("LISTEN " + name)
	case "a":
		a.find("advisory lock")
	case "t":
		a.find("temporary objects")
	}
}

// find notes something that pins the server.
func (a *Answer) find(why string) { a.found = cmp.Or(a.found, why) }

// prepared notes a statement of SQL PREPARE. It can follow the session to another server if its
// text is that one PREPARE alone; if not, it pins the server.
func (a *Answer) prepared(name, text string, syntax query.Syntax) {
	if a.runs == nil {
		a.runs = map[string][]*query.Statement{}
	}
	a.runs[name] = []*query.Statement{new(query.Statement)} // a statement that is not known, which may do anything
	script := query.Parse([]byte(text), syntax)
	if len(script.Statements) != 1 || script.Statements[0].Kind != query.Prepare || script.Statements[0].Name != name || !query.ASCII(name) {
		a.find("PREPARE " + name)
		return
	}
	a.settings = a.settings.With(pool.PreparedName(name), text)
	a.runs[name] = []*query.Statement{script.Statements[0].Inner}
}

// settingValue is a value as it stands after SET ... TO.
func settingValue(name, value string) string {
	if !listed[name] {
		return query.Literal(value)
	}
	var list []string
	for _, item := range splitList(value) {
		list = append(list, query.Literal(item))
	}
	if list == nil {
		return pool.EmptyList
	}
	return strings.Join(list, ", ")
}

// splitList reads a list of names as PostgreSQL writes it, where names that need quotes are in
// double quotes.
func splitList(list string) (items []string) {
	var item strings.Builder
	quoted, some := false, false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"' && quoted && i+1 < len(list) && list[i+1] == '"':
			item.WriteByte('"')
			i++
		case c == '"':
			quoted, some = !quoted, true
		case c == ',' && !quoted:
			items, some = append(items, item.String()), true
			item.Reset()
		case c == ' ' && !quoted:
		default:
			some = true
			item.WriteByte(c)
		}
	}
	if some {
		items = append(items, item.String())
	}
	return items
}
