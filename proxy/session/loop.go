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

// Forever is a deadline that never comes: the wait ends by an event only.
var Forever time.Time

// ErrStopped is what every wait returns once the worker stops the session.
var ErrStopped = errors.New("stop session: the worker is closing")

// Loop is what a session needs of its worker. Its methods are called from the
// session's coroutine only; Wait, Offload and nothing else give up the thread.
type Loop interface {
	Clock
	Servers
	Admissions
	Databases
	Herd
	Counters
	Numbers
}

// Clock is the worker's turn: the time, what a session waits for, and chance.
type Clock interface {
	// Now is the time at which the worker's current turn began.
	Now() time.Time
	// Wait parks the session until something about it has changed or the
	// deadline has come; it may return early. ErrStopped: leave at once.
	Wait(deadline time.Time) error
	// Offload runs f, which may block or burn CPU, on a goroutine and parks the
	// session until it has returned.
	Offload(f func()) error
	// Chance is a random number from 0 up to 1.
	Chance() float64
}

// Servers hands out servers and takes them back.
type Servers interface {
	// Checkout takes an idle server, or a place in the queue: then it
	// returns nil, and Granted tells what has come of it.
	Checkout(key pool.Key, secret any) *pool.Server
	// Granted is the server or the error that a queued Checkout ended in;
	// both nil while it waits.
	Granted() (*pool.Server, error)
	// Withdraw gives up the place in the queue.
	Withdraw()
	// Paused is why clients of the database get no servers now; false: they do.
	Paused(database string) (pool.Pause, bool)
	// Return gives back a server that owes nothing and is idle (I2).
	Return(*pool.Server)
	// Discard closes a server.
	Discard(*pool.Server)
	// Abort closes a server that is still at work: it is told to stop, and its
	// place is free only once PostgreSQL has ended it.
	Abort(*pool.Server)
	// Cancel asks PostgreSQL to stop what the server does; CancelDone is
	// called once it has answered.
	Cancel(*pool.Server)
	// Pinned counts that a session has begun to keep its server.
	Pinned(*pool.Server)
	// Proven says that a server of the pool has taken a statement, and Prove
	// that one has.
	Proven(key pool.Key, statement string) bool
	Prove(key pool.Key, statement string)
	// Timeouts are those that such a server had after its log-in.
	Timeouts(pool.Key) pool.Timeouts
}

// Admissions knows what log-ins stand on.
type Admissions interface {
	// Template is what a server of this pool said of itself at its log-in, and
	// what PostgreSQL has let it in on; nil when none was ever opened, or that is
	// over. fresh: as Proved says.
	Template(pool.Key) (params []wire.Param, on *pool.Admission, fresh bool)
	// Proved says that this is what log-ins of the Target stand on, by an answer of
	// PostgreSQL's that is new enough.
	Proved(pool.Target, *pool.Admission) bool
	// Claim has the session ask about log-ins of the Target; false: another one does.
	Claim(pool.Target) bool
	// Vouch returns what notes the answer to an AdmissionQuestion that is asked of the
	// server now: then its Admission is over, or not.
	Vouch(*pool.Server) func(pool.Finding)
	// Doubt notes that what log-ins stand on may have changed.
	Doubt()
}

// Databases empties a database for a statement.
type Databases interface {
	// Vacate empties a database for a statement. Others who are logged in to it have a
	// while to leave, unless they may stay; clients is how many have not. free lets others
	// in again.
	Vacate(database string, stay bool) (clients int, free func(), err error)
	// SendAway ends the other sessions of a database.
	SendAway(database string)
}

// Herd is what is known of the nodes.
type Herd interface {
	// Nodes is what is believed of the nodes now.
	Nodes() *nodes.View
	// Candidates are the nodes in use, as they are now. It is the caller's until
	// the next call.
	Candidates() []route.Candidate
	// Written is the latest known position of the primary, and when it was asked
	// for; PollPositions has it, and the standbys' positions, asked for often for a while.
	Written() (lsn uint64, began time.Time)
	PollPositions()
	// Suspect tells that a node may be gone, and what was found.
	Suspect(node int, why error)
	// Replayed is the position of a node, and when it was asked for.
	Replayed(node int) (lsn uint64, at time.Time)
}

// Counters counts what is done, and when it was done last.
type Counters interface {
	// Count counts what is sent to a node, or what the node says of it.
	Count(node int, what metrics.Statement)
	// Wrote notes that a write is over, LastWrite tells when the latest was, of
	// any session.
	Wrote()
	LastWrite() time.Time
}

// Numbers knows clients and processes by their numbers.
type Numbers interface {
	// Holds says that a server of pgherd's on that node, whoever uses it, is the
	// process of that number there.
	Holds(node int, pid uint32) bool
	// Known has the client known by the number of the server that it keeps for
	// life; false: it is another client's.
	Known(number uint32) bool
	// Notifier is the number of the client whose notification a process of a node
	// has sent; not ok: it is no server of pgherd's.
	Notifier(node int, pid uint32) (number uint32, ok bool)
	// Client says that a client is known by the number, and no process. Aim has it hold
	// its server, or get one; it blocks, and may be called on any thread.
	Client(number uint32) bool
	Aim(number uint32) (Target, bool)
}

// Settings of a session; values, replaced as a whole on reload.
type Settings struct {
	Modes        pool.Modes
	QueryWait    time.Duration // the longest wait for a server; 0: for ever
	QueryNotify  time.Duration // after which a waiting client is told that it waits; 0: never
	ResetTimeout time.Duration // for reset_query_list to be done
	ResetQueries []string      // run before another client gets the server
	ClientIdle   time.Duration // the longest silence of a client; 0: for ever
	InTransIdle  time.Duration // the same, inside a transaction
	QueryTimeout time.Duration // for an answer; then the query is canceled. 0: for ever
	ServerFirst  bool          // a client that keeps one server for life has it from its log-in
	KeepServers  bool          // for other clients; else a server ends with its client
	// LoginCheck is how old an answer to what a log-in stands on may be; 0: as old
	// as the last statement through pgherd that may have changed it.
	LoginCheck time.Duration
	Commands   command.Finder
	Tells      querylog.Tells // what is told of statements
	// Log has a line written to the operator's log, and must not wait for that. nil: there
	// is no log.
	Log func(querylog.Line)
	// Override is these settings with what a session has set for itself,
	// Asker.Values. It must be quick. nil if Commands sets nothing.
	Override func(values map[string]string) (*Settings, error)
	// Where servers are shared between transactions:
	Statements   Statements
	Catalogs     *catalog.Shared
	CatalogCheck time.Duration // how old what is known of a catalog may be
	MaxPrepared  int           // statements a server keeps prepared for all its sessions
	// What a client may have pgherd keep, and all together, in bytes; 0: there is no limit.
	// Memory has the count; nil: nobody counts.
	ClientMemory, ClientsMemory int
	Memory                      *Memory
	RefusePins                  bool // a statement that would keep the server is an error
	// Harmless says that a function leaves nothing in the session, whatever
	// the catalog says. nil: no function is known to.
	Harmless func(schema, name string) bool
	Routing  *Routing // nil: every statement goes to the primary
}

// Routing says where statements go.
type Routing struct {
	Rules           route.Settings
	Balance         route.Balance
	PerStatement    bool // choose a node for each read, not once per session
	Consistency     route.Consistency
	ConsistencyWait time.Duration // the longest wait for a standby to catch up, before the primary is asked
}

// Statements reads SQL, constants aside; *query.Cache is one.
type Statements interface {
	// Shaped must be quick; not ok: Shape is to be called, which may burn CPU.
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
	// goodbye is how long a leaving client may take to read its last bytes.
	goodbye = 2 * time.Second
	// cancelLimit is how many cancels of a client may be on their way at once;
	// more are ignored, as if they had come too late.
	cancelLimit = 4
	// cancelHold is how long a server is held for a cancel in flight (I10).
	cancelHold = 30 * time.Second
	// cancelPatience is how long a query that was canceled may go on.
	cancelPatience = 10 * time.Second
	// parkedWait is how long a read waits for a server of a standby while its session has
	// one of the primary, and parkedStay for how long it then does not try again.
	parkedWait = 100 * time.Millisecond
	parkedStay = 10 * time.Second
	// statementsLimit is how many statements a client may have prepared at once.
	statementsLimit = 50_000
	// rowsLimit bounds the answers to pgherd's own questions, in bytes.
	rowsLimit = 64 << 20
)
