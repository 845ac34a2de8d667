package route

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pgherd/proxy/query"
)

// rule says where a request goes, or does not apply.
type rule struct {
	name  string
	judge func(*Request, *Settings) Decision
}

// rules in the order in which they are applied.
var rules = [...]rule{
	{"server", server},
	{"snapshot", shared},
	{"pin", pinned},
	{"catalog_check_period", outdated},
	{"load_balance_mode", balance},
	{"transaction", transaction},
	{"hint", hint},
	{"unknown", unknown},
	{"primary_routing_query_pattern_list", pattern},
	{"process", process},
	{"statement", statements},
	{"catalog", anything},
	{"function", functions},
	{"relation", relations},
	{"disable_load_balance_on_write", afterWrite},
	{"node", node},
}

// ofSession is how many of them come first and are of the session only: a signal to a
// process elsewhere does without them.
const ofSession = 4

// last is the rule that is asked last, of what would leave the primary.
const last = "session"

func primary(why string) Decision { return Decision{Where: Primary, Why: why} }

func balance(_ *Request, set *Settings) Decision {
	if !set.Balance {
		return primary("load_balance_mode is off")
	}
	return Decision{}
}

// hint reads the comment in front of a statement. Without allow_sql_comments any
// comment keeps the statement on the primary, as in Pgpool-II.
func hint(r *Request, set *Settings) Decision {
	text := comment(r)
	switch {
	case text == nil:
	case noBalance.Match(text):
		return primary("the client says NO LOAD BALANCE")
	case !set.Comments && !nodeHint.Match(text):
		return primary("a comment stands in front, and allow_sql_comments is off")
	}
	return Decision{}
}

// comment is the text of a request that begins with a comment; nil if it does not.
func comment(r *Request) []byte {
	if !Commented(r.Text) {
		return nil
	}
	return bytes.TrimLeft(r.Text, blanks)
}

const blanks = " \t\r\n\f"

// Commented says that a text begins with a comment.
func Commented[T ~string | ~[]byte](text T) bool {
	i := 0
	for i < len(text) && strings.IndexByte(blanks, text[i]) >= 0 {
		i++
	}
	return len(text) > i+1 && (text[i] == '/' && text[i+1] == '*' || text[i] == '-' && text[i+1] == '-')
}

var (
	nodeHint  = regexp.MustCompile(`^/\*\s*(?i:node):([0-9]{1,4})\s*\*/`)
	noBalance = regexp.MustCompile(`^/\*\s*(?i:no load balance)\s*\*/`)
)

// transaction keeps what shares a snapshot, or follows a write, on its node.
// Transactions that may still write begin where they can.
func transaction(r *Request, _ *Settings) Decision {
	t := &r.Session.Transaction
	switch {
	case !t.Open:
		return Decision{}
	case t.Placed && r.Script.Ends():
		return here("it ends the transaction of its node")
	case t.Isolation == Serializable:
		return primary("its transaction is serializable")
	case t.snapshot() && !t.ReadOnly:
		return primary("its transaction has one snapshot, and may write")
	case t.snapshot() && t.Placed:
		return here("all statements of its transaction share a snapshot")
	case r.Session.Wrote.Now: // whatever disable_load_balance_on_write says: only the primary sees it
		return primary("its transaction has written")
	}
	return Decision{}
}

// process sends a signal to the node that has the process.
func process(r *Request, _ *Settings) Decision {
	if r.Signals && r.Elsewhere {
		return Decision{Where: Process, Index: r.Owner, Why: "it signals a process of that node"}
	}
	return Decision{}
}

// MayWrite says that a request may write something that other sessions see.
func MayWrite(r *Request, set *Settings) bool {
	if r.Signals {
		return false
	}
	for _, judge := range [...]func(*Request, *Settings) Decision{unknown, anything} {
		if judge(r, set).Where != Undecided {
			return r.Script == nil || len(r.Script.Statements) > 0
		}
	}
	for st := range all(r.Script) {
		if callsWriter(st, r.Catalog, set) {
			return true
		}
		switch {
		case st.Class == query.Read, st.Kind == query.Show, st.Class == query.Unknown && reads(st):
		case st.Class == query.Control && slices.Contains(outlines, st.Kind):
		case st.Class == query.Session && !st.Effects.Has(query.Writes) && st.Kind != query.Execute:
		default:
			return true
		}
		for i := range st.Tables {
			if r.Catalog.Relation(st.Tables[i].Schema, st.Tables[i].Name) == Writes {
				return true
			}
		}
	}
	return false
}

// outlines are the statements that begin, divide and end a transaction.
var outlines = []query.Kind{query.Begin, query.Commit, query.Rollback, query.Savepoint, query.Release, query.RollbackTo}

func unknown(r *Request, _ *Settings) Decision {
	switch {
	case r.Script == nil:
		return primary("it is too long to look into")
	case r.Script.Unknown():
		return Decision{Where: Primary, Why: "it was not understood: " + r.Script.Problem.String()}
	case len(r.Script.Statements) == 0:
		return primary("it is empty")
	}
	return Decision{}
}

func pattern(r *Request, set *Settings) Decision {
	for _, p := range set.PrimaryPatterns {
		if p.Match(r.Text) {
			return Decision{Where: Primary, Why: "it matches " + p.String()}
		}
	}
	return Decision{}
}

// statements requires all of them to be reads, and also what EXPLAIN only plans,
// because one wants to see the primary's plan. A statement that calls functions which
// the text does not explain is left to the rule that knows them.
func statements(r *Request, _ *Settings) Decision {
	for st := range all(r.Script) {
		switch {
		case r.Session.Transaction.Open && !r.Session.Transaction.snapshot() && st.Effects.Has(query.ReadsClock):
			return primary("the time of its transaction is that of the primary's")
		case st.Kind == query.Show:
			return primary("settings differ from node to node")
		case st.Class == query.Read, st.Class == query.Unknown && reads(st):
		case st.Effects.Has(query.LockingClause):
			return primary("it locks rows")
		case st.Effects.Has(query.DataModifyingCTE):
			return primary("its WITH writes")
		case st.Class == query.Session:
			return primary("it changes or uses its session")
		case st.Class == query.Control:
			return primary("it begins, ends or divides a transaction")
		case st.Class == query.Write:
			return primary("it writes")
		default:
			return primary("nobody knows what it runs")
		}
	}
	return Decision{}
}

// reads says that a statement only reads, apart from the functions that it calls.
func reads(st *query.Statement) bool {
	const harmless = query.UnknownFunction | query.ReadsClock
	switch st.Kind {
	case query.Select, query.CopyOut, query.Explain, query.ExplainAnalyze:
		return st.Effects&^harmless == 0 && (st.Inner == nil || reads(st.Inner))
	}
	return false
}

// anything keeps every statement on the primary if nothing is known of the database, or
// if what a text does not name may write there.
func anything(r *Request, _ *Settings) Decision {
	if r.Catalog == nil {
		return primary("nothing is known of the database yet")
	}
	switch r.Catalog.Anything() {
	case Reads:
		return Decision{}
	case Writes:
		return primary("an operator, cast or type of the database runs something volatile")
	}
	return primary("nothing is known of the database's operators, casts and types")
}

// functions looks at the operator's lists first, then at PostgreSQL's own functions,
// then at the catalog.
func functions(r *Request, set *Settings) Decision {
	for st := range all(r.Script) {
		for i := range st.Functions {
			f := &st.Functions[i]
			if why := called(f, r.Catalog, set); why != "" {
				return Decision{Where: Primary, Why: why + ": " + f.Name}
			}
		}
		for _, name := range st.Fields {
			if why := field(name, r.Catalog, set); why != "" {
				return Decision{Where: Primary, Why: why + ": " + name}
			}
		}
	}
	return Decision{}
}

// callsWriter says that a statement may call a function that writes what other sessions see. One that tells of its own server
// or session runs on the primary, and is none; what it does to the session is among the statement's effects.
func callsWriter(st *query.Statement, known Catalog, set *Settings) bool {
	writer := func(f query.Function) bool {
		own := f.Mark == query.MarkSession || f.Mark == query.Harmless && ofItsNode(&f)
		if own && !listed(set.WriteFunctions, &f) {
			return f.Schema == "" && known.Function(anySchema, f.Name) == Writes
		}
		return called(&f, known, set) != ""
	}
	return slices.ContainsFunc(st.Functions, writer) ||
		slices.ContainsFunc(st.Fields, func(name string) bool { return field(name, known, set) != "" })
}

// anySchema asks a Catalog for the database's own functions of a name: it knows names, not schemas.
const anySchema = "public"

// called is why a call keeps its statement on the primary; "" if it does not.
func called(f *query.Function, known Catalog, set *Settings) string {
	switch {
	case listed(set.WriteFunctions, f):
		return "write_function_list has the function"
	case listed(set.ReadFunctions, f):
		return ""
	case len(set.ReadFunctions) > 0 && f.Mark != query.Harmless:
		return "the function is not in read_only_function_list"
	case f.Mark == query.Harmless && ofItsNode(f):
		return "the function tells of its own server"
	case f.Mark == query.Harmless && f.Schema == "" && known.Function("", f.Name) == Writes:
		return "the function has a volatile overload"
	case f.Mark == query.Harmless:
		return ""
	case f.Mark != query.NotKnown:
		return "the function has to run on the primary"
	}
	switch known.Function(f.Schema, f.Name) {
	case Reads:
		return ""
	case Writes:
		return "the function is volatile"
	}
	return "nothing is known of the function"
}

// field handles a name after a dot, which need not be a function's.
func field(name string, known Catalog, set *Settings) string {
	is := known.Field(name)
	switch {
	case is == Unheard && len(set.WriteFunctions) == 0:
		return ""
	case listed(set.WriteFunctions, &query.Function{Name: name}):
		return "write_function_list has what may be a function"
	case is == Unheard, listed(set.ReadFunctions, &query.Function{Name: name}):
		return ""
	case len(set.ReadFunctions) > 0:
		return "what may be a function is not in read_only_function_list"
	case is == Writes:
		return "what may be a function is volatile"
	}
	return ""
}

// listed matches a pattern with the name alone and with its schema. The whole of it
// must match.
func listed(list []*regexp.Regexp, f *query.Function) bool {
	for _, p := range list {
		if whole(p, f.Name) || f.Schema != "" && whole(p, f.Schema+"."+f.Name) {
			return true
		}
	}
	return false
}

func whole(p *regexp.Regexp, name string) bool {
	at := p.FindStringIndex(name)
	return at != nil && at[0] == 0 && at[1] == len(name)
}

func relations(r *Request, _ *Settings) Decision {
	for st := range all(r.Script) {
		for i := range st.Tables {
			if why := named(&st.Tables[i], r.Catalog); why != "" {
				return Decision{Where: Primary, Why: why + ": " + st.Tables[i].Name}
			}
		}
	}
	return Decision{}
}

// named is why a table keeps its statement on the primary; "" if it does not.
func named(t *query.Relation, known Catalog) string {
	switch known.Relation(t.Schema, t.Name) {
	case Reads:
		return ""
	case Writes:
		return "the view runs something volatile"
	case Temporary:
		return "the relation is temporary"
	case Unlogged:
		return "the relation is unlogged, and empty on a standby"
	case System:
		return "the relation is the system's own"
	}
	return "nothing is known of the relation"
}

// afterWrite keeps the reads of a session that has written on the primary.
func afterWrite(r *Request, set *Settings) Decision {
	s := &r.Session
	switch {
	case set.OnWrite == Always && s.Wrote.Ever:
		return primary("its session has written")
	case set.OnWrite == TransTransaction && s.Transaction.Open && s.Wrote.InBlock:
		return primary("an earlier transaction of its session has written")
	}
	return Decision{}
}

// node is the node that the client names in a comment in front of a read.
func node(r *Request, _ *Settings) Decision {
	if text := comment(r); text != nil {
		if m := nodeHint.FindSubmatch(text); m != nil {
			index, _ := strconv.Atoi(string(m[1])) // it consists of digits only
			return Decision{Where: Node, Index: index, Why: "the client names it"}
		}
	}
	return Decision{}
}

// all are the statements of a script, and those inside them.
func all(script *query.Script) func(yield func(*query.Statement) bool) {
	return func(yield func(*query.Statement) bool) {
		for i := range script.Statements {
			for st := &script.Statements[i]; st != nil; st = st.Inner {
				if !yield(st) {
					return
				}
			}
		}
	}
}
