// Package config reads pgherd's configuration, which has Pgpool-II's file syntax and parameter
// names, and some of its own. One table (Params) feeds the parser, SHOW, the manual and the sample
// file.
//
// Load finds all errors at once and returns them joined, each a Problem with file and line. A Config
// is a plain value that nobody changes once it is made; a reload makes a new one.
//
// Limits: MaxFileSize, MaxLineLength, MaxIncludeDepth, MaxFiles, MaxIndex, MaxProblems. Secrets are
// kept as Secret and never printed (I9).
package config

import (
	"net"
	"slices"
	"strconv"
	"time"
)

// Config holds what is in effect, with units resolved and file names absolute.
type Config struct {
	File       string // the configuration file
	Listen     Listen
	Nodes      []Node // by rising Index, which may have gaps
	Engine     Engine
	Pool       Pool
	Limits     Limits
	Timeouts   Timeouts
	TCP        TCP
	ClientTLS  ClientTLS
	ServerTLS  ServerTLS
	Auth       Auth
	Log        Log
	Files      Files
	Streaming  StreamingCheck
	Failover   Failover
	Patroni    Patroni
	Recovery   Recovery
	Watchdog   Watchdog
	Balance    Balance
	Clustering string // how the nodes get the same data

	// settings is a function because nothing prints the result of one: the values given include
	// passwords (I9).
	settings func() *settings
}

// Listen says where clients connect. "*" among Addresses means every address.
type Listen struct {
	Addresses       []string
	Port            int
	UnixDirectories []string // the socket is .s.PGSQL.<Port> in each
	UnixGroup       string   // group name or number, "" leaves the process's own
	UnixPermissions int      // file mode
	Backlog         int      // how many connections the kernel keeps waiting to be accepted
}

// Node is one PostgreSQL instance.
type Node struct {
	Index           int    // N of backend_hostnameN, its node_id
	Host            string // name, address, or a folder with a Unix socket (begins with "/")
	Port            int
	Weight          float64 // share of reads, relative to the other nodes; 0 takes none
	Flags           NodeFlags
	DataDirectory   string
	ApplicationName string        // as the standby calls itself in pg_stat_replication
	ConnectTimeout  time.Duration // connecting and logging in, 0 = no limit
	Health          HealthCheck
	Patroni         PatroniOfNode
}

// HealthCheck is how a node is checked.
type HealthCheck struct {
	Period     time.Duration // 0 = as often as failover needs it
	Timeout    time.Duration // 0 = no limit
	Retries    int
	RetryDelay time.Duration
	User       string // "" for Streaming.User
	Password   Secret
	Database   string
}

// Recovery says how a lost node is made a standby again.
type Recovery struct {
	User     string // "" for Streaming.User
	Password Secret
	Database string
	Command  string // recovery_1st_stage_command
	Second   string // recovery_2nd_stage_command
	Timeout  time.Duration
}

// Watchdog says how several pgherds work together.
type Watchdog struct {
	Use       bool
	Self      int    // the number of this one, from the file pgpool_node_id
	Peers     []Peer // by rising Index, this one among them
	Key       Secret
	Listen    string // "" for all addresses
	Port      int    // to listen on; 0 for that of this one's Peer
	Directory string // of what was decided
	Election  time.Duration
	Lease     time.Duration
	Addresses string // delegate_ip
	// Commands on becoming leader, and on ceasing to be; "": none.
	Escalation, DeEscalation string
	Witnesses                []string
}

// Witness says that a peer is a witness.
func (w *Watchdog) Witness(peer int) bool { return slices.Contains(w.Witnesses, strconv.Itoa(peer)) }

// Peer is one of several pgherds.
type Peer struct {
	Index      int
	Host       string
	Port       int
	ClientPort int
}

// PatroniOfNode is where the Patroni of a node answers.
type PatroniOfNode struct {
	URL    string // with the default in place
	Member string // the node's name in Patroni; "": it is found by host and port
}

// Patroni says how Patroni is asked, where it promotes.
type Patroni struct {
	CAFile            string // "" for the authorities of the machine
	CertFile, KeyFile string // pgherd's own; "" for none
	Period, Timeout   time.Duration
}

// What Failover.Mode may be: who promotes a standby.
const (
	ModeInternal = "internal" // pgherd, by SQL
	ModeScript   = "script"   // failover_command, as with Pgpool-II
	ModePatroni  = "patroni"  // Patroni; pgherd follows what its REST API says
	ModeOff      = "off"      // somebody else; pgherd follows what nodes say
)

// Failover says what happens when a node is lost.
type Failover struct {
	Mode          string
	Wait          time.Duration // of clients for a primary
	OnError       bool          // one refusal after another is death, without waiting for the health check
	OnShutdown    bool          // a node that says that it shuts down is dead
	RestartGrace  time.Duration // in which one that was shut down may come back
	DataLoss      string        // refuse or allow: to promote though acknowledged commits may be lost
	Candidates    []string      // node numbers, the preferred first
	Unreplicated  string        // error or warning: how a commit is reported that no synchronous standby may have
	AutoFailback  bool
	FailbackAfter time.Duration // between two returns of a node
	Votes         FailoverVotes
	SearchPrimary time.Duration // after which an operator is called, 0 = never
	Commands      FailoverCommands
}

// FailoverVotes says how peers agree.
type FailoverVotes struct {
	Quorum    bool // who has lost touch with most of them does not write
	Consensus bool // most have to find a node dead
	Repeated  bool // one that finds it dead again and again has several votes
	Half      bool // half of them are enough
}

// FailoverCommands are run with /bin/sh; "": pgherd does that itself, or nobody does.
type FailoverCommands struct {
	Failover       string
	Failback       string
	FollowPrimary  string
	Timeout        time.Duration // of the first two
	FollowsTimeout time.Duration // of the third
}

// NodeFlags are the words of backend_flagN.
type NodeFlags struct {
	DisallowFailover bool
	AlwaysPrimary    bool
}

// Address is what net.Dial takes.
func (n Node) Address() (network, address string) {
	if n.Host != "" && n.Host[0] == '/' {
		return "unix", n.Host + "/.s.PGSQL." + strconv.Itoa(n.Port)
	}
	return "tcp", net.JoinHostPort(n.Host, strconv.Itoa(n.Port))
}

// Engine says what runs the data plane.
type Engine struct {
	IO      string // auto, io_uring or epoll
	Workers int    // 0 = half the cores
	Stream  bool   // long results are received in large pieces
	BPF     string // auto, on or off
}

// Pool says what happens to server connections between clients.
type Pool struct {
	Mode             string     // session, transaction or statement, of clients that no Modes fit
	Modes            []PoolMode // the first that fits a client wins
	PinPolicy        string     // pin or error
	ServerAtLogin    bool       // in session mode
	Cache            bool       // keep servers once their client has left
	ResetQueries     []string
	MinSize          int           // servers kept open per (node, database, user)
	IdleTimeout      time.Duration // 0 = never closed for being idle
	Lifetime         time.Duration // 0 = never closed for its age
	NodeConnectLimit time.Duration // server_connect_timeout; Node.ConnectTimeout is what counts

	HarmlessFunctions []string      // regular expressions for whole names, valid ones
	CatalogCheck      time.Duration // how old knowledge of functions may be before it is asked for again
	LoginCheck        time.Duration // how old knowledge of roles may be before it is asked for again at a log-in
}

// PoolMode is an entry of pool_mode_list. A Database or User of "" is any.
type PoolMode struct {
	Database, User string
	Mode           string // as Pool.Mode
}

// Limits count connections; 0 means no limit, except Node and Clients, which are always limited.
type Limits struct {
	Clients   int // clients in all
	NodeConns int // servers per node
	DBConns   int // servers per database, over all nodes
	UserConns int // servers per user, over all nodes
	PairConns int // servers per database and user, on a node
	// Reserve is how many beyond PairConns a pair may have once somebody has
	// waited for ReserveAfter.
	Reserve      int
	ReserveAfter time.Duration

	Prepared   int // statements that a server keeps prepared, always limited
	ParseCache int // bytes of parsed statements remembered, always limited
	// Bytes kept for one client, and for all; 0 = no limit.
	ClientMemory, ClientsMemory int

	AddressLogins   int // logins under way per client address
	AddressFailures int // failed logins per client address, within FailureWindow
	FailureWindow   time.Duration
}

// Timeouts are named after what they wait for; 0 means no limit.
type Timeouts struct {
	ClientLogin time.Duration
	ClientIdle  time.Duration
	QueryWait   time.Duration // a client's wait for a server
	QueryNotify time.Duration // until a waiting client is told that it waits
	Query       time.Duration // a statement's running
	ServerReset time.Duration // a server's answer to the reset queries
	Drain       time.Duration // a smart shutdown's wait for clients to leave

	IdleTransaction time.Duration // a client's silence inside a transaction
}

// TCP holds socket options; 0 leaves the kernel's own setting.
type TCP struct {
	KeepalivesIdle     time.Duration
	KeepalivesInterval time.Duration
	KeepalivesCount    int
	UserTimeout        time.Duration
}

// ClientTLS is TLS towards clients.
type ClientTLS struct {
	On                bool
	CertFile, KeyFile string
	CAFile, CADir     string // what client certificates are checked against
	CRLFile           string
	Ciphers           string // OpenSSL's names
	ECDHCurve         string // OpenSSL's name
	PassphraseCommand string
}

// ServerTLS is TLS towards PostgreSQL. Mode is one of libpq's sslmode words, never "auto".
type ServerTLS struct {
	Mode              string
	ChannelBinding    string // disable, prefer or require
	CAFile            string
	CertFile, KeyFile string
}

// Auth says how clients prove who they are.
type Auth struct {
	HBA            bool     // follow Files.HBA; without it every client's password is asked for as PostgreSQL does
	AllowClearText bool     // ask for the password in clear when nothing else can serve the node's method
	Admins         []string // users who may PAUSE, RESUME, RECONNECT and KILL

	Query         string // asks for a user's password; used if QueryUser is set
	QueryUser     string
	QueryPassword Secret // empty: the one in Files.PoolPasswd
	QueryDatabase string
	QueryCacheTTL time.Duration
}

// Log says what is logged, where and how.
type Log struct {
	Destination    []string // stderr, syslog
	Format         string   // text or json
	LinePrefix     string
	MinMessages    string // debug5 ... panic
	ErrorVerbosity string // terse, default or verbose
	SyslogFacility string
	SyslogIdent    string
	Connections    bool
	Disconnections bool
	Hostname       bool
	Clients        ClientLog
}

// ClientLog says what of clients' messages is logged, including constants and
// passwords.
type ClientLog struct {
	Statements     bool
	NodeStatements bool // with the node to which each goes
	NodeNotices    bool // the same, to the client
	Messages       bool
}

// Files are absolute paths, "" for none.
type Files struct {
	HBA           string // pool_hba.conf
	Ident         string // user name maps
	PCP           string // pcp.conf
	Key           string // key for AES passwords in PoolPasswd
	PoolPasswd    string
	Pid           string
	WorkDir       string
	DiscardStatus bool // start without what pgpool_status says
}

// StreamingCheck is how nodes are asked for their role and replication delay.
type StreamingCheck struct {
	Period   time.Duration // 0 = never
	User     string
	Password Secret
	Database string
}

// Balance says which statements leave the primary, and where they go.
type Balance struct {
	On              bool
	PerStatement    bool   // a node for each read, not for each session
	Policy          string // weight, least_active or lowest_latency
	Expression      string // "" for none; whoever evaluates it checks it
	Consistency     string // eventual, session or global
	ConsistencyWait time.Duration

	OnWrite         string // a word of disable_load_balance_on_write
	Comments        bool   // a comment in front does not keep a statement on the primary
	ReadFunctions   []string
	WriteFunctions  []string // these three: regular expressions, valid ones
	PrimaryPatterns []string

	DelayBytes  int           // 0 = no limit
	DelayTime   time.Duration // 0 = no limit; wins
	PreferLower bool          // beyond the limit, the least delayed standby instead of the primary

	// Preferences, 'regex:node(ratio),...'; whoever follows them checks them.
	Applications, Databases, Users string
}

// CommandLine carries what a command line says about a configuration; it wins over the file.
// Empty file names mean the default: pool_hba.conf and pcp.conf beside the configuration file, no key.
type CommandLine struct {
	HBA, PCP, Key string // absolute paths
	DiscardStatus bool
	Debug         bool // log_min_messages = debug1 or finer
	// Pid chooses the pid file of a server that listens at a port, if no file does.
	Pid func(port int) string
}
