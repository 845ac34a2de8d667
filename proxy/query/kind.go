package query

import (
	"math/bits"
	"strings"
)

// Kind is the form of a statement. Forms that need not be told apart are DDL.
type Kind uint8

const (
	Other Kind = iota
	Select
	Insert
	Update
	Delete
	Merge
	Truncate
	CopyIn   // COPY FROM STDIN
	CopyOut  // COPY TO STDOUT
	CopyFrom // from a file or program on the server
	CopyTo   // to a file or program on the server

	Begin
	Commit
	Rollback
	Savepoint
	Release
	RollbackTo
	PrepareTransaction
	CommitPrepared
	RollbackPrepared
	SetTransaction
	SetConstraints

	Set
	SetRole
	SetSessionAuthorization
	SetSessionCharacteristics
	Reset
	ResetAll
	Show
	DiscardAll
	DiscardPlans
	DiscardTemp
	DiscardSequences

	Prepare
	Execute
	Deallocate
	DeallocateAll
	Declare
	Fetch
	Move
	ClosePortal
	CloseAll

	Listen
	Unlisten
	UnlistenAll
	Notify
	Load
	Lock
	Do
	Call
	Explain
	ExplainAnalyze
	Vacuum
	Analyze
	Checkpoint
	CreateTableAs // SELECT INTO too
	DDL
)

var kindNames = [...]string{
	"other", "select", "insert", "update", "delete", "merge", "truncate",
	"copy_in", "copy_out", "copy_from", "copy_to",
	"begin", "commit", "rollback", "savepoint", "release", "rollback_to",
	"prepare_transaction", "commit_prepared", "rollback_prepared", "set_transaction", "set_constraints",
	"set", "set_role", "set_session_authorization", "set_session_characteristics",
	"reset", "reset_all", "show",
	"discard_all", "discard_plans", "discard_temp", "discard_sequences",
	"prepare", "execute", "deallocate", "deallocate_all",
	"declare", "fetch", "move", "close", "close_all",
	"listen", "unlisten", "unlisten_all", "notify", "load", "lock", "do", "call",
	"explain", "explain_analyze", "vacuum", "analyze", "checkpoint", "create_table_as", "ddl",
}

func (k Kind) String() string { return kindNames[k] }

// Effects are what a statement may do besides answering. Where it depends on the data
// (a set_config in a row that is never computed), the bit is set.
type Effects uint32

const (
	Writes           Effects = 1 << iota // has to run on the primary
	UnknownFunction                      // calls what may be user-defined, or runs SQL given as text
	AnonymousCode                        // DO, CALL
	TempTable                            // makes an object in the session's temporary schema
	OnCommitDrop                         // everything that it makes there is gone at the end of the transaction
	Listening                            // LISTEN
	Notifies                             // NOTIFY, pg_notify
	AdvisoryLock                         // takes or releases an advisory lock of the session
	HoldCursor                           // DECLARE WITH HOLD
	UsesCursor                           // names a cursor
	Loads                                // LOAD
	LargeObject                          // works with large-object descriptors
	Prepared                             // names a statement of SQL PREPARE
	SetsConfig                           // set_config, or an UPDATE of pg_settings
	SetsSequence                         // nextval, setval: currval and lastval may ask for the number
	ReadsSequence                        // currval, lastval: only this server can answer
	LockingClause                        // FOR UPDATE, FOR SHARE, ...
	DataModifyingCTE                     // a write inside WITH
	SelectInto                           // SELECT INTO
	ServerFile                           // reads or writes files or programs of the server
	Signals                              // pg_terminate_backend, pg_cancel_backend
	ReadsClock                           // now() and the like, which depend on the transaction's start
)

var effectNames = [...]string{
	"writes", "unknown_function", "anonymous_code", "temp_table", "on_commit_drop", "listen", "notify",
	"advisory", "hold_cursor", "uses_cursor", "load", "large_object", "prepared", "setting", "sequence",
	"reads_sequence", "locking_clause", "data_modifying_cte", "select_into", "server_file", "signal", "clock",
}

// Has tells whether any of the bits is set.
func (e Effects) Has(any Effects) bool { return e&any != 0 }

func (e Effects) String() string {
	var names []string
	for rest := e; rest != 0; rest &= rest - 1 {
		names = append(names, effectNames[bits.TrailingZeros32(uint32(rest))])
	}
	return strings.Join(names, ",")
}

// effectNamed is the effect that functions.txt calls so; 0 if there is none.
func effectNamed(name string) Effects {
	for i, n := range effectNames {
		if n == name {
			return 1 << i
		}
	}
	return 0
}
