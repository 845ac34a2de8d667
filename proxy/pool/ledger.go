package pool

import "time"

// Limits bound the servers that are open or being opened, over all workers.
// 0 is no limit.
type Limits struct {
	Node     int // per node
	Database int // per database, on all nodes
	User     int // per user, on all nodes
	Pair     int // per database and user, on a node
	// Reserve is how many a pair may have beyond Pair once somebody has
	// waited for ReserveAfter.
	Reserve      int
	ReserveAfter time.Duration
}

// pair is a database and a user on a node.
type pair struct {
	node           int
	database, user string
}

func (k Key) pair() pair { return pair{k.Node, k.Database, k.User} }

// ledger counts the servers that are open or being opened.
type ledger struct {
	limits Limits
	open   int
	nodes  map[int]int
	bases  map[string]int
	users  map[string]int
	pairs  map[pair]int
	keys   map[Key]int
}

func newLedger(limits Limits) ledger {
	return ledger{limits: limits, nodes: map[int]int{}, bases: map[string]int{}, users: map[string]int{},
		pairs: map[pair]int{}, keys: map[Key]int{}}
}

// room says that one more server of the key is within every limit; extra is
// what the pair may have beyond its own.
func (l *ledger) room(key Key, extra int) bool {
	return !full(l.nodes[key.Node], l.limits.Node) && !full(l.bases[key.Database], l.limits.Database) &&
		!full(l.users[key.User], l.limits.User) && !l.pairFull(key, extra)
}

func (l *ledger) pairFull(key Key, extra int) bool {
	return l.limits.Pair > 0 && l.pairs[key.pair()] >= l.limits.Pair+extra
}

// blocks says that closing a server of key a would lift a limit for key b.
func (l *ledger) blocks(a, b Key) bool {
	return a.Node == b.Node && full(l.nodes[b.Node], l.limits.Node) ||
		a.Database == b.Database && full(l.bases[b.Database], l.limits.Database) ||
		a.User == b.User && full(l.users[b.User], l.limits.User) ||
		a.pair() == b.pair() && l.pairFull(b, 0)
}

func full(n, limit int) bool { return limit > 0 && n >= limit }

// count adds n servers of the key.
func (l *ledger) count(key Key, n int) {
	l.open += n
	add(l.nodes, key.Node, n)
	add(l.bases, key.Database, n)
	add(l.users, key.User, n)
	add(l.pairs, key.pair(), n)
	add(l.keys, key, n)
	if l.keys[key] < 0 {
		panic("pool: a server of " + key.Database + " was closed twice")
	}
}

// add changes a counter and forgets it at zero.
func add[K comparable](counts map[K]int, key K, n int) {
	if counts[key] += n; counts[key] == 0 {
		delete(counts, key)
	}
}
