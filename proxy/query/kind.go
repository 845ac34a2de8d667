package query

// Kind is the form of a statement. What nobody asks about is DDL.
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
