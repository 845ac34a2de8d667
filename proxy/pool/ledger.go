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

// tally counts what one limit covers: that of a node, a database, a user or a pair.
type tally struct {
	most    *int // the limit; 0: none
	pools   int
	open    int  // servers that are open or being opened
	waiting int  // sessions that wait and are not paused
	spare   int  // idle servers reported
	rubs    bool // the limit is reached, somebody waits, and closing a spare server would make room
	gate    gate // the pools that it blocks
}

func (t *tally) full(extra int) bool { return *t.most > 0 && t.open >= *t.most+extra }

// The tallies of a pool, the narrowest limit first.
const (
	ofPair = iota
	ofUser
	ofDatabase
	ofNode
	tallies
)

// pool is what is known of a Key.
type pool struct {
	key     Key
	open    int
	spare   int
	leaving int // evictions under way
	paused  bool
	line    line
	under   [tallies]*tally
	at      *tally // the tally in whose gate it stands; nil: none
}

func (p *pool) head() *waiter { return p.line[0] }

// waiting is how many sessions wait and are not paused.
func (p *pool) waiting() int {
	if p.paused {
		return 0
	}
	return len(p.line)
}

// contested says that others wait for a place which a server of p takes.
func (p *pool) contested() bool {
	for _, t := range p.under {
		if t.full(0) && t.waiting > p.waiting() {
			return true
		}
	}
	return false
}

// blocks says that closing a server of p would lift a limit for q.
func (p *pool) blocks(q *pool) bool {
	for i, t := range p.under {
		if t == q.under[i] && t.full(0) {
			return true
		}
	}
	return false
}

// ledger counts servers and waiters, by pool and by limit.
type ledger struct {
	limits  Limits
	open    int
	leaving int // evictions under way
	rubbing int // tallies whose rubs is set
	pools   map[Key]*pool
	nodes   map[int]*tally
	bases   map[string]*tally
	users   map[string]*tally
	pairs   map[pair]*tally
}

func newLedger(limits Limits) ledger {
	return ledger{limits: limits, pools: map[Key]*pool{}, nodes: map[int]*tally{}, bases: map[string]*tally{},
		users: map[string]*tally{}, pairs: map[pair]*tally{}}
}

// pool finds a key's, or begins one; forget ends it.
func (l *ledger) pool(key Key) *pool {
	p := l.pools[key]
	if p == nil {
		p = &pool{key: key}
		t := key.Target()
		p.under = [tallies]*tally{
			ofPair:     under(l.pairs, pair{key.Node, t.Database, t.User}, &l.limits.Pair),
			ofUser:     under(l.users, t.User, &l.limits.User),
			ofDatabase: under(l.bases, t.Database, &l.limits.Database),
			ofNode:     under(l.nodes, key.Node, &l.limits.Node),
		}
		l.pools[key] = p
	}
	return p
}

func under[K comparable](all map[K]*tally, key K, most *int) *tally {
	t := all[key]
	if t == nil {
		t = &tally{most: most}
		all[key] = t
	}
	t.pools++
	return t
}

// forget drops a pool once nothing of it is left.
func (l *ledger) forget(p *pool) {
	if p.open > 0 || p.spare > 0 || p.leaving > 0 || len(p.line) > 0 || l.pools[p.key] != p {
		return
	}
	delete(l.pools, p.key)
	for _, t := range p.under {
		t.pools--
	}
	t := p.key.Target()
	drop(l.pairs, pair{p.key.Node, t.Database, t.User})
	drop(l.users, t.User)
	drop(l.bases, t.Database)
	drop(l.nodes, p.key.Node)
}

func drop[K comparable](all map[K]*tally, key K) {
	if all[key].pools == 0 {
		delete(all, key)
	}
}

// count adds n servers of the pool.
func (l *ledger) count(p *pool, n int) {
	l.open += n
	if p.open += n; p.open < 0 {
		panic("pool: a server of " + p.key.Target().Database + " was closed twice")
	}
	for _, t := range p.under {
		t.open += n
		l.weigh(t)
	}
}

// await adds n sessions that wait for a server of the pool.
func (l *ledger) await(p *pool, n int) {
	for _, t := range p.under {
		t.waiting += n
		l.weigh(t)
	}
}

// offer adds n spare servers of the pool.
func (l *ledger) offer(p *pool, n int) {
	p.spare += n
	for _, t := range p.under {
		t.spare += n
		l.weigh(t)
	}
}

// leave adds n evictions of the pool.
func (l *ledger) leave(p *pool, n int) {
	p.leaving += n
	l.leaving += n
}

// weigh updates whether a tally rubs.
func (l *ledger) weigh(t *tally) {
	rubs := t.spare > 0 && t.waiting > 0 && t.full(0)
	if rubs == t.rubs {
		return
	}
	if t.rubs = rubs; rubs {
		l.rubbing++
	} else {
		l.rubbing--
	}
}
