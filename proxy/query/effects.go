package query

import (
	"math/bits"
	"strings"
)

// Effects are what a statement may do beside answering. Where an outcome depends
// on the data (a set_config in a row that is never computed), the bit is set.
type Effects uint32

const (
	Writes           Effects = 1 << iota // has to run on the primary
	UnknownFunction                      // calls what may be user-defined, or runs SQL given as text
	AnonymousCode                        // DO, CALL
	TempTable                            // makes an object in the session's temporary schema
	OnCommitDrop                         // all it makes there is gone at the end of the transaction
	Listening                            // LISTEN
	Notifies                             // NOTIFY, pg_notify
	AdvisoryLock                         // takes or gives back an advisory lock of the session
	HoldCursor                           // DECLARE WITH HOLD
	UsesCursor                           // names a cursor
	Loads                                // LOAD
	LargeObject                          // works with large-object descriptors
	Prepared                             // names a statement of SQL PREPARE
	SetsConfig                           // set_config, or an UPDATE of pg_settings
	SetsSequence                         // nextval, setval: currval and lastval will ask
	ReadsSequence                        // currval, lastval: only this server can answer
	LockingClause                        // FOR UPDATE, FOR SHARE, ...
	DataModifyingCTE                     // a write inside WITH
	SelectInto                           // SELECT INTO
	ServerFile                           // reads or writes files or programs of the server
	Signals                              // pg_terminate_backend, pg_cancel_backend
	ReadsClock                           // now() and the like: tied to its transaction's start
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
