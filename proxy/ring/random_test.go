package ring_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgherd/proxy/ring"
	"pgherd/proxy/ring/ringtest"
)

// chaos does random things to a few sockets on two loops, and checks the results: every byte arrives once and
// in order, a Buf that is held keeps its bytes, a closed Conn does not call its owner, and all buffers come back.
type chaos struct {
	t     *testing.T
	w     world
	rng   *rand.Rand
	loops []*ring.Loop
	links []*link
	made  int
}

// link is one socket, with what is known of its two streams.
type link struct {
	seed      int
	peer      peer
	loop      *ring.Loop
	conn      *ring.Conn
	in, out   progress
	held      []heldBuf
	detaching bool
	reset     bool
	closed    bool
}

type progress struct{ written, read int }

type heldBuf struct {
	buf *ring.Buf
	at  int
}

func (k *link) Ready(c *ring.Conn) {
	if k.closed || c != k.conn {
		panic("Ready is called for a Conn that is closed or detached")
	}
}

const (
	chaosLinks  = 8
	chaosWindow = 48 << 10 // bytes not yet read at the other end, so that the run ends
)

func (x *chaos) open() *link {
	x.made++
	k := &link{seed: x.made, loop: x.loops[x.rng.IntN(len(x.loops))]}
	var fd int
	fd, k.peer = x.w.pair(x.t)
	k.conn = k.loop.Open(fd, k)
	return k
}

func (x *chaos) act(k *link) {
	switch x.rng.IntN(40) {
	default:
		x.peerWrites(k)
	case 6, 7, 8, 9, 10, 11, 12, 13, 14:
		x.peerReads(k)
	case 15, 16, 17, 18, 19, 20, 21:
		x.takes(k)
	case 22, 23, 24, 25, 26, 27:
		x.releases(k, 1)
	case 28, 29:
		x.writes(k)
	case 30, 31:
		x.sends(k)
	case 32:
		k.conn.Stream(true)
	case 33, 34:
		k.conn.Stream(false)
	case 35:
		k.detaching = true
		k.conn.Detach()
	case 36:
		if x.rng.IntN(20) == 0 {
			x.closes(k)
		}
	case 37:
		if x.rng.IntN(40) == 0 {
			k.reset = true
			k.peer.Reset()
		}
	}
	if k.detaching && !k.closed {
		x.moves(k)
	}
	if k.reset && k.conn.Ended() != nil {
		x.closes(k)
	}
}

func (x *chaos) peerWrites(k *link) {
	if n := min(x.rng.IntN(8<<10), chaosWindow-(k.in.written-k.in.read)); n > 0 && !k.reset && !k.closed {
		k.peer.Write(streamed(2*k.seed, k.in.written, n))
		k.in.written += n
	}
}

func (x *chaos) peerReads(k *link) {
	p := k.peer.ReadSome(1 + x.rng.IntN(16<<10))
	check(x.t, fmt.Sprintf("out of link %d", k.seed), 2*k.seed+1, k.out.read, p)
	k.out.read += len(p)
}

func (x *chaos) takes(k *link) {
	if b := k.conn.Take(); b != nil {
		check(x.t, fmt.Sprintf("into link %d", k.seed), 2*k.seed, k.in.read, b.Bytes())
		k.held = append(k.held, heldBuf{b, k.in.read})
		k.in.read += len(b.Bytes())
	}
}

// releases releases n held Bufs, chosen at random, which must be unchanged.
func (x *chaos) releases(k *link, n int) {
	for ; n > 0 && len(k.held) > 0; n-- {
		i := x.rng.IntN(len(k.held))
		h := k.held[i]
		check(x.t, fmt.Sprintf("held of link %d", k.seed), 2*k.seed, h.at, h.buf.Bytes())
		h.buf.Release()
		k.held = append(k.held[:i], k.held[i+1:]...)
	}
}

func (x *chaos) mayWrite(k *link) int {
	if k.closed || k.reset || k.detaching {
		return 0
	}
	return max(0, min(x.rng.IntN(12<<10), chaosWindow-(k.out.written-k.out.read)))
}

func (x *chaos) writes(k *link) {
	n := x.mayWrite(k)
	k.conn.Write(streamed(2*k.seed+1, k.out.written, n))
	k.out.written += n
}

// sends queues a private Buf in pieces.
func (x *chaos) sends(k *link) {
	n := x.mayWrite(k)
	b := k.loop.Get(n)
	b.Fill(copy(b.Room(), streamed(2*k.seed+1, k.out.written, n)))
	k.out.written += n
	for at := 0; at < n; {
		end := at + 1 + x.rng.IntN(n-at)
		k.conn.Send(b, b.Bytes()[at:end])
		at = end
	}
	b.Release()
}

func (x *chaos) moves(k *link) {
	fd, ok := k.conn.Detached()
	if !ok {
		return
	}
	if n := x.w.lowWater(fd); n != 1 {
		x.t.Fatalf("link %d is handed over with a low-water mark of %d, want 1", k.seed, n)
	}
	x.drain(k)
	if k.conn.Ended() != nil {
		k.reset = true // the old Conn has seen the error
	}
	k.detaching = false
	k.loop = x.loops[x.rng.IntN(len(x.loops))]
	k.conn = k.loop.Open(fd, k)
}

func (x *chaos) drain(k *link) {
	for before := -1; before != k.in.read; {
		before = k.in.read
		x.takes(k)
		x.releases(k, len(k.held))
	}
}

func (x *chaos) closes(k *link) {
	if k.closed {
		return
	}
	k.conn.Close()
	k.closed = true
	x.releases(k, len(k.held))
	if x.made < 40 {
		x.links = append(x.links, x.open())
	}
}

func (x *chaos) run(steps int) {
	for range chaosLinks {
		x.links = append(x.links, x.open())
	}
	for range steps {
		for range 10 {
			if k := x.links[x.rng.IntN(len(x.links))]; !k.closed {
				x.act(k)
			}
		}
		pass(x.t, x.w, 1, x.loops...)
		x.w.step()
	}
	until(x.t, x.w, x.finished, x.loops...)
	for _, k := range x.links {
		k.conn.Close()
	}
	whole(x.t, x.w, x.loops...)
}

// finished lets all that was written arrive.
func (x *chaos) finished() bool {
	all := true
	for _, k := range x.links {
		if k.closed {
			continue
		}
		x.peerReads(k)
		x.drain(k)
		if k.detaching {
			x.moves(k)
		}
		if k.reset {
			x.closes(k)
			continue
		}
		all = all && k.in.read == k.in.written && k.out.read == k.out.written
	}
	return all
}

func TestRandomOperations(t *testing.T) {
	set := ring.Settings{Buffers: 16, BufferSize: 512, Quota: 4}
	run := func(t *testing.T, w world, seed uint64) {
		x := &chaos{t: t, w: w, rng: rand.New(rand.NewPCG(seed, 1))}
		x.loops = []*ring.Loop{w.loop(t, set), w.loop(t, set)}
		x.run(1000)
	}
	for seed := range uint64(16) {
		t.Run(fmt.Sprint("simulation/", seed), func(t *testing.T) { run(t, &simulation{ringtest.New(seed)}, seed) })
	}
	for _, engine := range []string{"io_uring", "epoll"} {
		for _, family := range []string{"tcp", "unix"} {
			t.Run(engine+"/"+family, func(t *testing.T) { run(t, newKernel(t, engine, family), 1) })
		}
	}
}
