// Package route chooses the node of a request: first whether it may leave the
// primary, then which node it is to go to.
//
// Contract: pure functions of what the request does (query), what its session
// has done (Session), what its database holds (Catalog), what is configured
// (Settings), what is believed of the nodes (nodes.View) and, where chance
// decides, a number that is passed in. Nothing here does I/O or keeps state; a
// value may be used by any number of goroutines.
//
// What is not understood goes to the primary (I3): Place never answers Anywhere
// for a text that was not parsed, a function or relation that nobody knows, or a
// statement that changes its session.
package route

import (
	"regexp"

	"pgherd/proxy/query"
)

// Where a request may go.
type Where uint8

const (
	Undecided Where = iota // the rule does not apply
	Primary                // to the node that takes writes
	Anywhere               // to any node, as balance and preferences decide
	Here                   // to the node that the transaction is on
	Node                   // to the node that the client names
	Process                // to the node whose process it signals, even if that node is late or in quarantine
)

func (w Where) String() string {
	return [...]string{"undecided", "primary", "anywhere", "here", "node", "process"}[w]
}

// Settings are those of the operator's settings that rules look at.
type Settings struct {
	Balance         bool // load_balance_mode
	Comments        bool // allow_sql_comments: a comment in front does not keep a statement on the primary
	OnWrite         OnWrite
	ReadFunctions   []*regexp.Regexp // read_only_function_list
	WriteFunctions  []*regexp.Regexp // write_function_list
	PrimaryPatterns []*regexp.Regexp // primary_routing_query_pattern_list
}

// OnWrite is disable_load_balance_on_write: how long after a write reads stay on
// the primary.
type OnWrite uint8

const (
	Off              OnWrite = iota // not at all
	Transaction                     // to the end of the transaction
	TransTransaction                // once a transaction block has written, in every block that follows
	Always                          // once the session has written, for ever
)

// Catalog tells of the names that a statement uses. Schemas are empty where the
// statement had none.
type Catalog interface {
	Function(schema, name string) Known
	Relation(schema, name string) Known
	// Field is the function f that x.f calls if x has no column f; Unheard if there is
	// none.
	Field(name string) Known
	// Anything is what a text does not name: operators, casts, types, domains.
	Anything() Known
}

// Known is what a catalog knows of a function or a relation.
type Known uint8

const (
	Unheard   Known = iota // nothing by that name is known
	Reads                  // runs nothing that writes
	Writes                 // is volatile, or a view that runs something volatile
	Temporary              // is a temporary relation
	Unlogged               // is an unlogged relation
	System                 // is one of the system's own, which differ from node to node
)

// Request is what is to be routed.
type Request struct {
	Text    []byte        // as the client sent it
	Script  *query.Script // nil: too long to be analysed
	Session Session
	Catalog Catalog // nil: nothing is known
	// Signals says that it sends one process a signal and does nothing else, and Elsewhere
	// that this is a process of the node Owner, which is not the primary, and may be
	// reached from where the session is.
	Signals, Elsewhere bool
	Owner              int
}

// Decision is where a request goes, and by which rule; Why is for people.
type Decision struct {
	Where Where
	Rule  string
	Why   string
	Index int // number of the node, if Where is Node or Process
}

// Place applies the rules in their order, and the first that applies decides. It
// allocates nothing unless a reason has to be put into words.
func Place(r *Request, set *Settings) Decision {
	if r.Elsewhere && r.Session.reaches() {
		if d := place(r, set, ofSession); d.Where == Process {
			return d
		}
	}
	r.Elsewhere = false
	d := place(r, set, 0)
	if d.Where != Anywhere && d.Where != Node {
		return d
	}
	if kept := r.Session.keeps(); kept.Where != Undecided {
		kept.Rule = last
		return kept
	}
	return d
}

func place(r *Request, set *Settings, from int) Decision {
	for i := from; i < len(rules); i++ {
		if d := rules[i].judge(r, set); d.Where != Undecided {
			d.Rule = rules[i].name
			return d
		}
	}
	return Decision{Where: Anywhere, Rule: "read", Why: "it only reads what every node has"}
}
