package ring

import (
	"syscall"
	"testing"
	"time"
)

// inert is an engine that does nothing. The test completes operations itself.
type inert struct {
	next   func() // called in Turn
	wait   time.Duration
	closed []int
}

func (*inert) Name() string              { return "inert" }
func (*inert) Start(*Loop) error         { return nil }
func (*inert) Provide(int)               {}
func (*inert) Add(ID, int) error         { return nil }
func (*inert) Remove(ID, int)            {}
func (*inert) Recv(ID, int, []byte, int) {}
func (*inert) StopRecv(ID)               {}
func (*inert) Send(ID, int, [][]byte)    {}
func (*inert) StopSend(ID)               {}
func (*inert) Reset(int)                 {}
func (*inert) ShutdownWrite(int) error   { return nil }
func (*inert) LowWater(int, int) error   { return nil }
func (*inert) Now() time.Duration        { return 0 }
func (e *inert) CloseSocket(fd int)      { e.closed = append(e.closed, fd) }
func (*inert) Wake()                     {}
func (*inert) Enters() uint64            { return 0 }
func (*inert) Features() []Feature       { return nil }
func (*inert) Close() error              { return nil }
func (e *inert) Turn(wait time.Duration) error {
	e.wait = wait
	if e.next != nil {
		e.next()
	}
	e.next = nil
	return nil
}

func (e *inert) complete(t *testing.T, l *Loop, evs ...Event) {
	t.Helper()
	e.next = func() {
		for _, ev := range evs {
			l.Complete(ev)
		}
	}
	if err := l.Turn(0); err != nil {
		t.Fatal(err)
	}
}

func TestLateCompletionMissesTheNextConn(t *testing.T) {
	e := &inert{}
	l := NewWith(e, Settings{})
	first := l.Open(3, nil)
	e.complete(t, l)
	first.Close()
	e.complete(t, l)
	e.complete(t, l, Event{ID: first.id, Op: Received, Shared: NoBuffer, Err: syscall.ECANCELED})
	e.complete(t, l)
	second := l.Open(4, nil)
	if second.id.Slot() != first.id.Slot() || second.id == first.id {
		t.Fatalf("the Conns' IDs are %#x and %#x, want the same slot with another generation", first.id, second.id)
	}
	e.complete(t, l)
	e.complete(t, l, Event{ID: first.id, Op: Received, Shared: 0, N: 10})
	if second.Take() != nil {
		t.Error("bytes of the first Conn have reached the second")
	}
	if l.Counters().Late != 1 || l.unused() != len(l.shared) {
		t.Errorf("%d completions count as late, and %d of %d buffers are back", l.Counters().Late, l.unused(), len(l.shared))
	}
}

func TestSocketIsClosedOnlyWhenNothingIsInFlight(t *testing.T) {
	e := &inert{}
	l := NewWith(e, Settings{})
	c := l.Open(3, nil)
	c.Write([]byte("in flight"))
	e.complete(t, l)
	c.Close()
	e.complete(t, l)
	e.complete(t, l, Event{ID: c.id, Op: Received, Shared: NoBuffer, Err: syscall.ECANCELED})
	e.complete(t, l)
	if len(e.closed) != 0 || c.tx.Len() != 1 {
		t.Fatal("the Conn is closed while a send is in flight")
	}
	e.complete(t, l, Event{ID: c.id, Op: Sent, Shared: NoBuffer, N: 2})
	e.complete(t, l)
	if len(e.closed) != 1 || c.tx.Len() != 0 {
		t.Error("the Conn is not closed after the last completion")
	}
}

// TestRefusedConnReceivesOnceInPrivate checks that a refused receive is replaced by one private receive, even
// while its bytes are on their way, and that the mode for large results does not change that.
func TestRefusedConnReceivesOnceInPrivate(t *testing.T) {
	e := &inert{}
	l := NewWith(e, Settings{BufferSize: 1000})
	c := l.Open(3, nil)
	e.complete(t, l)
	for _, stream := range []bool{false, true} {
		refuse := Event{ID: c.id, Op: Received, Shared: NoBuffer, Err: syscall.ENOBUFS}
		e.complete(t, l, refuse)
		e.complete(t, l)
		if c.recv != recvArmed || c.into == nil || len(c.into.data) != 1024 {
			t.Fatalf("the receive is in state %d, into buffer %v", c.recv, c.into)
		}
		c.Stream(stream)
		e.complete(t, l)
		if c.recv != recvArmed {
			t.Error("the private receive is stopped")
		}
		e.complete(t, l, Event{ID: c.id, Op: Received, Shared: NoBuffer, N: 1024})
		c.Take().Release()
		e.complete(t, l)
		if c.recv != recvArmed || stream != (c.into != nil) || c.nextSize < StreamMin {
			t.Errorf("the receive is in state %d, into buffer %v; the next buffer has %d bytes", c.recv, c.into, c.nextSize)
		}
	}
}

// TestAllConnsTogetherHoldLittleMoreThanHeld checks that what all Conns hold grows only slowly past Held,
// however many they are, and that each can always go on.
func TestAllConnsTogetherHoldLittleMoreThanHeld(t *testing.T) {
	e := &inert{}
	set := Settings{Buffers: 2, BufferSize: 1024, Quota: 16, Held: 64 << 10}
	l := NewWith(e, set)
	var cs []*Conn
	for range 100 {
		c := l.Open(3, nil)
		cs = append(cs, c)
		for range set.Quota {
			e.complete(t, l)
			if c.recv == recvArmed {
				e.complete(t, l, Event{ID: c.id, Op: Received, Shared: NoBuffer, Err: syscall.ENOBUFS})
				e.complete(t, l)
				e.complete(t, l, Event{ID: c.id, Op: Received, Shared: NoBuffer, N: 1024})
			}
		}
	}
	if most := set.Held + 100*set.Quota*set.BufferSize/scarcity; l.held < set.Held || l.held > most {
		t.Errorf("all Conns hold %d bytes, want %d to %d", l.held, set.Held, most)
	}
	for i, c := range cs {
		for c.rx.Len() > 0 {
			c.Take().Release()
		}
		if e.complete(t, l); c.held != 0 || c.recv != recvArmed {
			t.Errorf("Conn %d holds %d bytes, its receive is in state %d", i, c.held, c.recv)
		}
	}
	if l.held != 0 {
		t.Errorf("%d bytes count as held, but no Conn holds them", l.held)
	}
}

func TestWindowGrowsWhenItProvesTooSmall(t *testing.T) {
	e := &inert{}
	l := NewWith(e, Settings{Buffers: 256})
	c := l.Open(3, nil)
	for want := firstWindow; want < 1024; want *= 2 {
		e.complete(t, l)
		if l.provided != min(want, 256) {
			t.Errorf("the engine has %d buffers, want %d", l.provided, min(want, 256))
		}
		e.complete(t, l, Event{ID: c.id, Op: Received, Shared: NoBuffer, Err: syscall.ENOBUFS})
	}
}

func TestMisuseOfBufsPanics(t *testing.T) {
	l := NewWith(&inert{}, Settings{})
	for what, misuse := range map[string]func(){
		"released twice":      func() { b := l.Get(1); b.Release(); b.Release() },
		"held after the last": func() { b := l.Get(1); b.Release(); b.Hold() },
		"filled past":         func() { b := l.Get(1); b.Fill(len(b.Room()) + 1) },
		"sent from elsewhere": func() { b := l.Get(1); b.Fill(1); l.Open(3, nil).Send(b, []byte("x")) },
		"given away twice":    func() { l.claim(0); l.claim(0) },
		"opened after close":  func() { x := NewWith(&inert{}, Settings{}); x.Close(); x.Open(3, nil) },
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("the call does not panic")
				}
			}()
			misuse()
		})
	}
}

func TestGetReusesWithinBounds(t *testing.T) {
	l := NewWith(&inert{}, Settings{})
	for _, n := range []int{0, 1, 1023, 1025, 64 << 10, 256 << 10, 256<<10 + 1} {
		b := l.Get(n)
		if len(b.Room()) < n || len(b.Bytes()) != 0 {
			t.Errorf("Get(%d) returns a Buf with room for %d bytes", n, len(b.Room()))
		}
		b.Fill(n)
		b.Release()
		if again := l.Get(n); n <= 256<<10 && again != b {
			t.Errorf("Get(%d) does not reuse a Buf", n)
		} else {
			again.Release()
		}
	}
	var many [2 * keepBytes >> maxClass]*Buf
	for i := range many {
		many[i] = l.Get(1 << maxClass)
	}
	for _, b := range many {
		b.Release()
	}
	if kept := len(l.free[maxClass]); kept != keepBytes>>maxClass {
		t.Errorf("%d buffers of 256 KB are kept", kept)
	}
}
