package session

import (
	"cmp"
	"strconv"
	"strings"

	"pgherd/proxy/catalog"
	"pgherd/proxy/expect"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/wire"
)

// question is something that pgherd asks of a server on its own behalf; the
// client sees nothing of it.
type question struct {
	rows   [][]string // NULL is ""
	row    []byte     // of a DataRow that has not come wholly
	size   int
	failed bool
	done   func(*question)
}

// ask sends a question. done is called when the answer has come.
func (s *Session) ask(sql string, done func(*question)) {
	s.asking = &question{done: done}
	s.query(sql, expect.Capture)
}

// query sends a query of pgherd's own. It destroys the unnamed statement.
func (s *Session) query(sql string, w expect.Whose) {
	s.server.Prepared.Sweep()
	s.send(wire.Query, w, nil, wire.AppendQuery(nil, sql))
}

// hear takes a piece of the answer.
func (q *question) hear(m wire.Message) {
	switch {
	case m.Kind == wire.ErrorResponse:
		q.failed = true
	case m.Kind == wire.DataRow:
		if q.size += len(m.Bytes); q.size > rowsLimit {
			q.failed = true
			return
		}
		q.row = append(q.row, m.Bytes...)
		if m.Last {
			q.read(q.row[wire.HeaderLen:])
			q.row = nil
		}
	}
}

func (q *question) read(body []byte) {
	v, err := wire.ViewDataRow(body)
	if err != nil {
		q.failed = true
		return
	}
	var row []string
	for value := range v.Values.All() {
		row = append(row, string(value))
	}
	q.rows = append(q.rows, row)
}

// answered is what the server says of a session's state.
type answered struct {
	settings pool.Settings
	found    string // why it keeps the server; "": it need not
	count    string // of statements prepared by the protocol
	runs     map[string][]*query.Statement
}

// stateQuestion asks for what a session has left on the server: rows of a
// letter, a name and a value. It means the same under any search_path.
//
// Whatever the session's default, the transaction is one that waits for nobody.
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

// stateTimed is for a session with a transaction_timeout: the question tells of it before
// it lifts it, or its server, and its client with it, might be ended by it.
const stateTimed = `SELECT 's', s.name, s.setting FROM pg_catalog.pg_show_all_settings() s
 WHERE s.source OPERATOR(pg_catalog.=) 'session' AND s.name OPERATOR(pg_catalog.=) 'transaction_timeout';
SET LOCAL transaction_timeout = 0;
`

var (
	stateUsual  = strings.NewReplacer("{timed}", "", "{else}", "").Replace(stateQuestion)
	stateLifted = strings.NewReplacer("{timed}", stateTimed, "{else}", "timeout|").Replace(stateQuestion)
)

// stateSQL is the question, with the placeholder settings that no catalog shows. timed:
// the session has a transaction_timeout.
func stateSQL(placeholders []string, timed bool) string {
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

// listed are the settings that hold a list of names.
var listed = map[string]bool{"search_path": true, "temp_tablespaces": true, "session_preload_libraries": true,
	"local_preload_libraries": true}

// readState reads the answer. user is whom the server has logged in.
func readState(rows [][]string, user string, syntax query.Syntax) *answered {
	a := new(answered)
	for _, row := range rows {
		if len(row) == 3 {
			a.read(row[0], row[1], row[2], user, syntax)
		}
	}
	return a
}

func (a *answered) read(what, name, value, user string, syntax query.Syntax) {
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
		a.count = value
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

func (a *answered) find(why string) { a.found = cmp.Or(a.found, why) }

// prepared: a statement of SQL PREPARE follows if its text is that alone.
func (a *answered) prepared(name, text string, syntax query.Syntax) {
	if a.runs == nil {
		a.runs = map[string][]*query.Statement{}
	}
	a.runs[name] = []*query.Statement{new(query.Statement)} // which may do anything
	script := query.Parse([]byte(text), syntax)
	if len(script.Statements) != 1 || script.Statements[0].Kind != query.Prepare || script.Statements[0].Name != name || !query.ASCII(name) {
		a.find("PREPARE " + name)
		return
	}
	a.settings = a.settings.With(pool.PreparedName(name), text)
	a.runs[name] = []*query.Statement{script.Statements[0].Inner}
}

// settingValue is what to put after SET ... TO.
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

// splitList reads a list of names as PostgreSQL writes it: names that need it
// are in double quotes.
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

// askAhead asks what a session has left on the server in the same round trip
// as what may have left it, where that is a transaction by itself.
func (s *Session) askAhead() {
	f := &s.follow
	if f.unsure && !f.stays && f.kept == "" && f.suspect == "" && s.status == wire.Idle && s.server != nil && s.asking == nil &&
		!s.expect.Skipping && s.expect.Coming() {
		s.askState()
	}
}

// askState asks the server what the session has left on it.
func (s *Session) askState() {
	prepared := strconv.Itoa(s.server.Prepared.Len())
	if s.expect.Doubtful() {
		prepared = "" // some of them may fail
	}
	s.ask(stateSQL(s.follow.names, s.transactionTimed()), func(q *question) {
		f := &s.follow
		if f.failures++; q.failed {
			if f.failures >= failuresLimit {
				f.keep("its state cannot be asked for")
			}
			return
		}
		if s.status != wire.Idle {
			return // there is more to come
		}
		a := readState(q.rows, s.who.Target.User, s.syntax)
		switch {
		case prepared == "" || a.count == "" || s.plain || a.count == prepared:
		case a.count == "0": // all were deallocated, unseen
			s.deallocated()
		default:
			s.server.Retire(s.loop.Now())
		}
		f.adopt(a)
		s.server.Settings = f.settings
		s.server.Used = s.keeps() || f.pinned() != ""
	})
}

// failuresLimit is how many questions in a row may fail, canceled or out of
// time, before the server stays for good.
const failuresLimit = 3

// acquaint has the catalog known before the first statement is judged by it.
func (s *Session) acquaint() error {
	for s.entry != nil && !s.entry.Known() {
		if err := s.askFirst(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) askFirst() error {
	return s.askNow(func() catalog.Ticket { return s.entry.Ask(s.loop.Now()) })
}

// askNow asks the primary, and waits for the answer.
func (s *Session) askNow(ticket func() catalog.Ticket) error {
	if s.server == nil {
		if err := s.checkOut(s.primary()); err != nil {
			return err
		}
	}
	if s.asking == nil {
		s.askCatalog(ticket())
	}
	if err := s.await(func() bool { return s.asking == nil }); err != nil {
		return err
	}
	return s.digest()
}

// digest reads an answer that may take a while to read.
func (s *Session) digest() error {
	unread := s.unread
	s.unread = nil
	if unread == nil {
		return nil
	}
	err := s.loop.Await(unread)
	s.lost = nil
	return err
}

// askCatalog asks the server for the functions, triggers and views that
// statements are judged by.
func (s *Session) askCatalog(ticket catalog.Ticket) {
	before, entry := s.entry.Snapshot(), s.entry
	s.ask(s.server.Untimed()+catalog.Question(before), func(q *question) {
		if q.failed {
			s.lost = nil
			entry.Failed(ticket)
			if len(s.follow.redo.later) > 0 {
				s.follow.keep("its catalog cannot be asked for")
			}
			return
		}
		ticket := ticket.Answered(s.loop.Now())
		s.unread = func() {
			if snapshot, err := catalog.Read(before, q.rows); err == nil {
				entry.Store(ticket, snapshot)
			} else {
				entry.Failed(ticket)
			}
		}
	})
	s.lost = func() { entry.Unanswered(ticket) }
}
