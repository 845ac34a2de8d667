package session

import (
	"errors"
	"time"

	"pgherd/proxy/catalog"
	"pgherd/proxy/command"
	"pgherd/proxy/metrics"
	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
	"pgherd/proxy/query"
	"pgherd/proxy/querylog"
	"pgherd/proxy/route"
	"pgherd/proxy/wire"
)

// Forever is a deadline that never comes; only an event ends such a wait.
var Forever time.Time

// ErrStopped is what every wait returns once the worker stops the session.
var ErrStopped = errors.New("stop session: the worker is closing")

// Loop is what a session needs of its worker. Only the session's coroutine calls its
// methods. Wait and Offload give up the thread; no other method does.
type Loop interface {
	Clock
	Servers
	Admissions
	Databases
	Herd
	Counters
	Numbers
}

// Clock has the time, the waits and the random numbers of a session.
type Clock interface {
	// Now is the time at which the worker's current turn began.
	Now() time.Time
	// Wait suspends the session until something about it has changed or the deadline
	// has come; it may return early. After ErrStopped the session ends at once.
	Wait(deadline time.Time) error
	// Offload runs f, which may block or burn CPU, on a goroutine and suspends the
	// session until f has returned.
	Offload(f func()) error
	// Chance is a random number from 0 up to 1.
	Chance() float64
}

// Servers hands out servers and takes them back.
type Servers interface {
	// Checkout returns an idle server. If there is none, it takes a place in the queue
	// and returns nil, and Granted has the outcome.
	Checkout(key pool.Key, secret any) *pool.Server
	// Granted is the server or the error that a queued Checkout ended in; both are nil
	// while it waits.
	Granted() (*pool.Server, error)
	// Withdraw gives up the place in the queue.
	Withdraw()
	// Paused is why clients of the database get no servers now; false if they do.
	Paused(database string) (pool.Pause, bool)
	// Return gives back a server that owes nothing and is idle (I2).
	Return(*pool.Server)
	// Discard closes a server.
	Discard(*pool.Server)
	// Abort closes a server that is still at work, and has PostgreSQL cancel that work.
	// The server's place is free only once PostgreSQL has ended the connection.
	Abort(*pool.Server)
	// Cancel asks PostgreSQL to cancel what the server does, which it was sent at that time.
	// The worker calls CancelDone once PostgreSQL has answered (I10).
	Cancel(s *pool.Server, sent time.Time)
	// Pinned counts that a session has begun to keep its server.
	Pinned(*pool.Server)
	// Prove notes that a server of the pool has prepared a statement without an error,
	// and Proven says that one has.
	Proven(key pool.Key, statement string) bool
	Prove(key pool.Key, statement string)
	// Timeouts are those that a server of the pool had after its log-in.
	Timeouts(pool.Key) pool.Timeouts
}

// Admissions knows what log-ins rest on: the role, its rights and the database as
// PostgreSQL had them when it let a server in.
type Admissions interface {
	// Template has the parameters that a server of this pool reported at its log-in, and
	// the Admission that it was let in on. params is nil if no server was ever opened, or
	// its Admission is over. fresh is what Proved says of the Admission.
	Template(pool.Key) (params []wire.Param, on *pool.Admission, fresh bool)
	// Proved says that log-ins of the Target rest on this Admission, by an answer of
	// PostgreSQL's that is new enough.
	Proved(pool.Target, *pool.Admission) bool
	// Claim makes the session the one that asks about log-ins of the Target; it is false
	// if another session asks already.
	Claim(pool.Target) bool
	// Vouch is called when the server is asked an AdmissionQuestion. The function that it
	// returns takes the answer, and says whether the server is still good for log-ins. If the
	// server is the primary's and is not, its Admission is over.
	Vouch(*pool.Server) func(pool.Finding) (holds bool)
	// Doubt notes that what log-ins rest on may have changed.
	Doubt()
}

// Databases empties databases for statements that nobody else may disturb.
type Databases interface {
	// Vacate empties a database for a statement, and keeps others out until free is
	// called. Unless they may stay, other clients of the database have a while to leave;
	// clients is how many have not left.
	Vacate(database string, stay bool) (clients int, free func(), err error)
	// SendAway ends the other sessions of a database.
	SendAway(database string)
}

// Herd is what is known of the nodes.
type Herd interface {
	// Nodes is what is believed of the nodes now.
	Nodes() *nodes.View
	// Licensed says that this pgherd may write to the primary now, which its peers have to permit where it has any.
	Licensed() bool
	// Candidates are the nodes in use, as they are now. The slice is valid until the
	// next call.
	Candidates() []route.Candidate
	// Written is the latest known WAL position of the primary, and when it was asked for.
	// PollPositions makes pgherd ask for it, and for the standbys' positions, often for a
	// while.
	Written() (lsn uint64, began time.Time)
	PollPositions()
	// Suspect tells that a node may be gone, and what was found.
	Suspect(node int, why error)
	// Replayed is the position that a node has replayed, and when it was asked for.
	Replayed(node int) (lsn uint64, at time.Time)
}

// Counters counts statements, and knows when the latest write was.
type Counters interface {
	// Count counts a statement that is sent to a node, or an error that the node reports.
	Count(node int, what metrics.Statement)
	// Wrote notes that a write is over. LastWrite is when the latest write of any session
	// was over.
	Wrote()
	LastWrite() time.Time
}

// Numbers knows clients and processes by their numbers.
type Numbers interface {
	// Holds says that the process with that number on that node is one of pgherd's
	// servers, whoever uses it.
	Holds(node int, pid uint32) bool
	// Known makes a client, which keeps its server for life, known by that server's
	// process number; it is false if another client has the number.
	Known(number uint32) bool
	// Notifier is the number of the client whose notification a process of a node has
	// sent; it is not ok if that process is no server of pgherd's.
	Notifier(node int, pid uint32) (number uint32, ok bool)
	// Client says that the number is a client's, and no process has it. Aim makes that
	// client hold its server, or get one; it blocks, and may be called on any thread.
	Client(number uint32) bool
	Aim(number uint32) (Target, bool)
}

// Settings are what the configuration says about a session. A reload replaces them as a
// whole.
type Settings struct {
	Modes        pool.Modes
	QueryWait    time.Duration // the longest wait for a server; 0 for no limit
	QueryNotify  time.Duration // after which a waiting client is told that it waits; 0 for never
	ResetTimeout time.Duration // the longest that reset_query_list may take
	ResetQueries []string      // run before another client gets the server
	ClientIdle   time.Duration // the longest silence of a client; 0 for no limit
	InTransIdle  time.Duration // the same, inside a transaction
	FailoverWait time.Duration // for a primary, where one may be lost; 0: sessions end with their servers
	QueryTimeout time.Duration // the longest wait for an answer, after which the query is canceled; 0 for no limit
	ServerFirst  bool          // a client that keeps one server for life gets it at its log-in
	KeepServers  bool          // servers are kept for other clients; if not, a server ends with its client
	// LoginCheck is how old PostgreSQL's answer about a log-in may be. If it is 0, an answer
	// is good until a statement through pgherd may have changed what log-ins rest on.
	LoginCheck time.Duration
	Commands   command.Finder
	Tells      querylog.Tells // what the log and clients are told of statements
	// Log writes a line to the operator's log, and must not wait for that. It is nil if
	// there is no log.
	Log func(querylog.Line)
	// Override returns these settings with the values that a session has set for itself
	// (Asker.Values). It must be quick. It is nil if Commands sets nothing.
	Override func(values map[string]string) (*Settings, error)
	// Where servers are shared between transactions:
	Statements   Statements
	Catalogs     *catalog.Shared
	CatalogCheck time.Duration // how old an answer about a catalog may be
	MaxPrepared  int           // how many statements a server keeps prepared, for all its sessions
	MemoryLimits
	// UnreplicatedCommits says that a commit is reported as done that no synchronous standby may have.
	UnreplicatedCommits bool
	RefusePins          bool // a statement that would keep the server is an error
	// Harmless says that the configuration lists a function as one that leaves nothing in
	// the session, whatever the catalog says. It is nil if no function is listed.
	Harmless func(schema, name string) bool
	Routing  *Routing // nil if every statement goes to the primary
}

// MemoryLimits bound what pgherd keeps for clients, in bytes; 0 means no limit.
type MemoryLimits struct {
	ClientMemory, ClientsMemory int     // for one client, and for all
	Memory                      *Memory // counts for all; nil: nobody counts
}

// Routing says where statements go.
type Routing struct {
	Rules           route.Settings
	Balance         route.Balance
	PerStatement    bool // a node is chosen for each read, not once per session
	Consistency     route.Consistency
	ConsistencyWait time.Duration // the longest wait for a standby to catch up, before the primary is asked
}

// Statements parses SQL and remembers the result for texts of the same shape, whatever their
// constants; *query.Cache is one.
type Statements interface {
	// Shaped must be quick. If it is not ok, Shape is to be called, which may burn CPU.
	Shaped(sql []byte, syntax query.Syntax) (script *query.Script, ok bool)
	Shape(sql []byte, syntax query.Syntax) *query.Script
}

// Named limits.
const (
	// queuedLimit is how many bytes may wait to be sent to one side before
	// the other side is no longer read, so that it slows down.
	queuedLimit = 256 << 10
	// streamAfter is how much of one response, or copy, passes before it counts
	// as long and is received in large pieces.
	streamAfter = 256 << 10
	// goodbye is how long a client may take to read its last bytes.
	goodbye = 2 * time.Second
	// cancelLimit is how many cancels of a client may be on their way at once. Further
	// ones are ignored, as if they had come too late.
	cancelLimit = 4
	// cancelHold is how long a server is held for a cancel in flight (I10).
	cancelHold = 30 * time.Second
	// cancelPatience is how long a query that was canceled may go on.
	cancelPatience = 10 * time.Second
	// parkedWait is how long a read waits for a server of a standby while its session has a
	// parked one of the primary. If it gets none, its session does not try again for as long
	// as parkedStay.
	parkedWait = 100 * time.Millisecond
	parkedStay = 10 * time.Second
	// statementsLimit is how many statements a client may have prepared at once.
	statementsLimit = 50_000
	// rowsLimit bounds the answers to pgherd's own questions, in bytes.
	rowsLimit = 64 << 20
)
