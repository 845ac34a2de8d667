// Package ringtest is a network and a kernel made up from a seed: ring.Loops run on it without a system
// call, a goroutine or a clock, and the same seed gives the same run.
//
// It behaves as badly as a kernel may: bytes travel in short pieces with random delays through small
// windows, receives and sends are short, completions come late, shared buffers run out, in some loops for good
// (as when stalled connections hold them), cancelled receives still bring bytes, and, when asked for,
// connections are reset. It panics when a Loop breaks the rules of
// ring.Engine: two receives at once, memory of a send in flight changed, a socket closed while in use.
// Shared buffers that are free are filled with Poison.
//
// A test opens sockets of Pair in its loops, and then, until it has seen what it waits for, turns each loop,
// calls Step, and reads and writes at the Peers. It needs a bound on the number of rounds, not a timeout.
package ringtest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"pgherd/proxy/ring"
)

// Poison is what the bytes of a free shared buffer are set to.
const Poison = 0xDB

// Limits of the simulation.
const (
	minWindow = 256 // bytes on their way and waiting in one direction of a socket
	maxWindow = 16 << 10
	maxStep   = 500 * time.Microsecond // virtual time of a Step
	maxDelay  = 2 * time.Millisecond   // of a piece
	firstFD   = 1 << 20                // far from real descriptors
)

// Network is one simulation of time and sockets for any number of Loops, all on one goroutine.
type Network struct {
	// ResetOneIn, when > 0, resets a random socket in one of that many Steps.
	ResetOneIn int

	rng     *rand.Rand
	now     time.Time
	sockets []*socket // by descriptor - firstFD; never reused
}

// New makes a network whose random choices all come from seed.
func New(seed uint64) *Network {
	return &Network{rng: rand.New(rand.NewPCG(seed, 0x70676865)), now: time.Unix(1_000_000_000, 0)}
}

// Now is the virtual time. It advances in Step only.
func (n *Network) Now() time.Time { return n.now }

// Engine makes the engine of one more Loop.
func (n *Network) Engine() ring.Engine { return &engine{net: n, limits: n.chance(2)} }

// Pair makes a socket: fd goes to Loop.Open of any Loop on this network, the Peer is its other end.
func (n *Network) Pair() (fd int, peer *Peer) {
	s := &socket{fd: firstFD + len(n.sockets)}
	s.in, s.out = n.pipe(), n.pipe()
	n.sockets = append(n.sockets, s)
	return s.fd, &Peer{net: n, socket: s}
}

// LowWater is the low-water mark of a socket.
func (n *Network) LowWater(fd int) int { return max(1, n.socket(fd).in.lowWater) }

func (n *Network) pipe() *pipe { return &pipe{window: minWindow + n.rng.IntN(maxWindow-minWindow)} }

// Step advances time a little: bytes arrive, peers go on sending.
func (n *Network) Step() {
	n.now = n.now.Add(1 + n.upTo(maxStep))
	for _, s := range n.sockets {
		s.in.arrive(n.now)
		s.out.arrive(n.now)
		s.pump(n)
	}
	if n.ResetOneIn > 0 && len(n.sockets) > 0 && n.chance(n.ResetOneIn) {
		n.sockets[n.rng.IntN(len(n.sockets))].reset = true
	}
}

func (n *Network) chance(oneIn int) bool { return n.rng.IntN(oneIn) == 0 }

// short is a random length from 1 to limit, often limit itself.
func (n *Network) short(limit int) int {
	if n.chance(2) {
		return limit
	}
	return 1 + n.rng.IntN(limit)
}

func (n *Network) socket(fd int) *socket {
	i := fd - firstFD
	if i < 0 || i >= len(n.sockets) || n.sockets[i].closed {
		panic(fmt.Sprintf("ringtest: descriptor %d is not open", fd))
	}
	return n.sockets[i]
}

func (n *Network) upTo(d time.Duration) time.Duration { return time.Duration(n.rng.Int64N(int64(d))) }
