// Package query says what a SQL string does: which statements it holds, whether they
// read or write, what they change in the session, and which tables and functions they
// name.
//
// Contract: pure functions from bytes and Syntax to immutable values, which any number
// of goroutines may share. Nothing panics, crashes or takes unbounded time, whatever
// the bytes. A string beyond the limits of limits.go is not given to the parser; Parse
// then returns a Script that has a Problem and no statements (I3: it goes to the
// primary and is not cached). The caller runs Parse off its thread for long strings;
// Cache knows the Scripts of strings seen before.
//
// A Script says only what the text shows. Views, triggers, rules, row security,
// user-defined operators, casts and overloads of catalog functions may run any code;
// the catalog takes precedence.
//
// A Script holds the text, which may hold secrets, so nothing here prints one (I9).
package query

import "pgherd/proxy/query/lex"

// Class is the most demanding thing that a statement does, as its text shows.
type Class uint8

const (
	// Unknown may do anything. Kind and Effects are set as far as they are known.
	Unknown Class = iota
	// Read changes nothing and gives the same answer on any node with the same data.
	Read
	// Write has to run on the primary and leaves the session as it was.
	Write
	// Session changes or uses state that a server keeps for its session: settings,
	// prepared statements, cursors, locks. Effects has Writes if it has to run on
	// the primary as well.
	Session
	// Control begins, ends or divides a transaction.
	Control
)

var classNames = [...]string{"unknown", "read", "write", "session", "control"}

func (c Class) String() string { return classNames[c] }

// Syntax is the part of a session's settings that changes the meaning of bytes.
type Syntax = lex.Syntax

// Problem says why a string was not classified.
type Problem uint8

const (
	None           Problem = iota
	TooLong                // over MaxBytes
	TooManyTokens          // over MaxTokens
	TooDeep                // over MaxNesting
	BadSyntax              // not in the parser's grammar
	BadLexeme              // unterminated quotes, a zero byte, numbers with trailing junk
	UnsafeEncoding         // bytes that only the server can tell apart
)

var problemNames = [...]string{
	"", "longer than the limit", "more tokens than the limit", "nested deeper than the limit",
	"syntax error", "invalid token", "non-ASCII text in an unsafe client encoding",
}

func (p Problem) String() string { return problemNames[p] }

// Script is a string of statements, as a client sends it in one message.
type Script struct {
	Text       string // a copy of the client's
	Syntax     Syntax
	Problem    Problem     // if it is not None there are no Statements, though there may be effects
	Statements []Statement // none for an empty string
}

// Unknown says that nothing is known of what the string does.
func (s *Script) Unknown() bool { return s.Problem != None }

// Statement is one of a Script. Strings are in the client's encoding.
type Statement struct {
	Class   Class
	Kind    Kind
	Effects Effects

	// Name is the setting, folded to lower case, or the prepared statement, cursor,
	// channel, savepoint, global transaction or library.
	Name string
	// Value is what SET assigns, in the form that follows "SET name TO": a list of
	// constants that mean the same under any standard_conforming_strings, or DEFAULT.
	// It is also the payload of NOTIFY and the snapshot of SET TRANSACTION SNAPSHOT, as
	// plain text, and the code of DO.
	Value string
	// Values are the constants of Value as plain text, unquoted.
	Values []string
	// Local is SET LOCAL, for the rest of the transaction.
	Local bool
	// Plain is a definition after which no other statement does more than before,
	// except through the functions that it names.
	Plain bool
	// Objects are the functions and relations whose behaviour a definition may change;
	// without any, it may change that of anything.
	Objects []string

	Mode  Mode // of BEGIN, SET TRANSACTION and SET SESSION CHARACTERISTICS
	Chain bool // AND CHAIN

	Offset, Length int // where the statement is in Script.Text

	Tables    []Relation
	Functions []Function
	// Fields are the last names of qualified columns, and those of fields: f of t.f and
	// (x).f, which is f(x) where x has no column f. In no order, each once.
	Fields []string

	// Inner is what EXPLAIN explains, PREPARE prepares, DECLARE declares, and what
	// COPY and CREATE TABLE AS run. Its Offset and Length are those of the whole.
	Inner *Statement
}

// Mode is how a transaction runs. Empty and zero mean "not specified".
type Mode struct {
	Isolation  string // "serializable", "repeatable read", ...
	ReadOnly   Choice
	Deferrable Choice
}

// Choice is a yes or no that may be left out.
type Choice uint8

const (
	Unsaid Choice = iota
	Yes
	No
)

// Relation is a table, view, sequence or index that a statement names. Schema is empty
// if the statement names none. Names of common table expressions are not included.
type Relation struct {
	Schema, Name string
	Write        bool // INSERT, UPDATE, DELETE, MERGE, DDL, LOCK, ...
}

// Function is a function that a statement calls.
type Function struct {
	Schema, Name string
	Mark         Mark
	Volatile     bool       // not immutable, or not known to be
	Arguments    []Argument // only where Mark is not Harmless
}

// Argument is what the text says of an argument's value.
type Argument struct {
	Constant  bool
	Altered   bool   // by a cast, so that the function may get another text
	Text      string // of a constant: plain text, "true" and "false", empty for NULL
	Null      bool
	Parameter int // n of $n, or 0
}
