package worker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/pool"
	"pgherd/proxy/ring/ringtest"
	"pgherd/proxy/session"
	"pgherd/proxy/wire"
)

// simConnector opens servers that the simulation plays.
type simConnector struct{ *yard }

func (c *simConnector) Open(_ context.Context, _ pool.Key, _ any) (Opened, error) {
	if c.fails != nil {
		return Opened{}, c.fails
	}
	fd, peer := c.net.Pair()
	s := &simServer{postgres: newPostgres(true), peer: peer, pid: uint32(len(c.servers) + 1)}
	c.servers = append(c.servers, s)
	return Opened{Socket: Socket{FD: fd}, PID: s.pid, Params: []wire.Param{{Name: "param", Value: "0"}}}, nil
}

func (c *simConnector) Cancel(context.Context, int, uint32, []byte) error { return nil }
func (c *simConnector) Secret(string) (any, bool)                         { return nil, c.secrets }

// TestIdleWatch checks that a message from an idle server decides whether a session gets that server.
func TestIdleWatch(t *testing.T) {
	status := wire.AppendParameterStatus(nil, "param", "1")
	for name, c := range map[string]struct {
		says  []byte
		then  func(*ringtest.Peer)
		stays bool
	}{
		"nothing":               {nil, nil, true},
		"a FATAL error":         {wire.AppendError(nil, &wire.Fault{Severity: "FATAL", Code: "57P01", Message: "x"}), nil, false},
		"a notification":        {wire.AppendNotificationResponse(nil, 1, "a", "b"), nil, false},
		"a ReadyForQuery":       {ready, nil, false},
		"half a message":        {status[:len(status)-2], nil, false},
		"half a header":         {status[:3], nil, false},
		"nonsense":              {[]byte("nonsense"), nil, false},
		"it closes":             {nil, (*ringtest.Peer).CloseWrite, false},
		"its connection breaks": {nil, (*ringtest.Peer).Reset, false},
	} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t, 3, 2)
			w := y.workers.all[1]
			s := y.shelve(w, appKey)
			_, _ = s.peer.Write(c.says)
			if c.then != nil {
				c.then(s.peer)
			}
			y.turns(200)
			if stays := w.idle.Len() == 1; stays != c.stays || y.workers.allocator.Total() != w.idle.Len() {
				t.Fatalf("the server is in the list of idle servers: %v; %d are counted", stays, y.workers.allocator.Total())
			}
			if !c.stays && s.peer.Closed() == nil {
				t.Error("the server was not closed")
			}
		})
	}
}

// spoken is an endpoint on which these pieces have arrived.
type spoken struct {
	wire.Endpoint
	pieces [][]byte
	end    error
	taken  int
}

type piece struct {
	*spoken
	b []byte
}

func (p piece) Bytes() []byte { return p.b }
func (p piece) Release()      { p.taken-- }

func (s *spoken) Ended() error { return s.end }
func (s *spoken) Left() bool   { return s.end != nil }
func (s *spoken) Take() wire.Chunk {
	if len(s.pieces) == 0 {
		return nil
	}
	p := piece{s, s.pieces[0]}
	s.pieces, s.taken = s.pieces[1:], s.taken+1
	return p
}

// TestQuiet checks that an idle server may report parameters, which are recorded, and send notices,
// wherever the bytes are cut.
func TestQuiet(t *testing.T) {
	status := wire.AppendParameterStatus(nil, "param", "1")
	notice := wire.AppendNotice(nil, &wire.Fault{Severity: "NOTICE", Code: "00000", Message: strings.Repeat("x", 2000)})
	all := slices.Concat(notice, status, notice)
	for name, c := range map[string]struct {
		pieces [][]byte
		end    error
		quiet  bool
		param  string
	}{
		"nothing":                 {nil, nil, true, "0"},
		"a parameter":             {[][]byte{status}, nil, true, "1"},
		"a long notice":           {[][]byte{notice}, nil, true, "0"},
		"both":                    {[][]byte{all}, nil, true, "1"},
		"both, in small pieces":   {slices.Collect(slices.Chunk(all, 7)), nil, true, "1"},
		"half a notice":           {[][]byte{notice[:1000]}, nil, false, "0"},
		"half a parameter":        {[][]byte{status[:8]}, nil, false, "0"},
		"a parameter, then more":  {[][]byte{status, ready}, nil, false, "1"},
		"a parameter and the end": {[][]byte{status}, io.EOF, false, "1"},
		"the end":                 {nil, io.EOF, false, "0"},
	} {
		end := &spoken{pieces: c.pieces, end: c.end}
		s := &pool.Server{Endpoint: end, Params: []wire.Param{{Name: "param", Value: "0"}}}
		if got := (&Worker{}).quiet(s); got != c.quiet || pool.Param(s.Params, "param") != c.param || end.taken != 0 {
			t.Errorf("%s: quiet is %v, param is %s, and %d pieces are held", name, got, pool.Param(s.Params, "param"), end.taken)
		}
	}
}

// TestIdleTimeout checks the idle timeout and the lifetime of servers, in virtual time.
func TestIdleTimeout(t *testing.T) {
	y := newYard(t, 1, 2, func(s *Settings) { s.IdleTimeout = time.Minute })
	y.shelve(y.workers.all[0], appKey)
	y.shelve(y.workers.all[1], appKey)
	y.later(59 * time.Second)
	if y.shelved() != 2 {
		t.Fatalf("%d idle servers are left before the timeout", y.shelved())
	}
	y.later(2 * time.Second)
	if y.shelved() != 0 || y.workers.allocator.Total() != 0 {
		t.Errorf("%d idle servers are left, %d are counted", y.shelved(), y.workers.allocator.Total())
	}
}

func TestLifetime(t *testing.T) {
	y := newYard(t, 1, 1, func(s *Settings) { s.Lifetime = time.Minute })
	y.shelve(y.workers.all[0], appKey)
	y.later(50 * time.Second)
	if y.shelved() != 1 {
		t.Fatal("the server was closed before its lifetime was over")
	}
	y.later(11 * time.Second)
	if y.shelved() != 0 || y.workers.allocator.Total() != 0 {
		t.Errorf("%d idle servers are left, %d are counted", y.shelved(), y.workers.allocator.Total())
	}
}

// TestMinimumSize checks that so many servers are kept though they are idle, and that missing ones are
// opened, one after the other, for users whose credentials are stored.
func TestMinimumSize(t *testing.T) {
	y := newYard(t, 1, 2, func(s *Settings) { s.MinPool, s.IdleTimeout = 3, time.Minute })
	y.secrets = true
	first := y.shelve(y.workers.all[0], appKey)
	for range 10 {
		y.later(choresEvery)
	}
	if y.shelved() != 3 {
		t.Fatalf("got %d servers, want the minimum of 3", y.shelved())
	}
	y.shelve(y.workers.all[0], appKey)
	for range 5 {
		y.later(time.Hour)
	}
	if y.shelved() != 3 || y.workers.allocator.Total() != 3 {
		t.Errorf("got %d servers, %d counted, want the minimum of 3", y.shelved(), y.workers.allocator.Total())
	}
	if first.peer.Closed() == nil && y.servers[3].peer.Closed() == nil {
		t.Error("none of the four servers was closed")
	}
	y.servers[1].peer.CloseWrite()
	y.servers[2].peer.CloseWrite()
	for range 5 {
		y.later(choresEvery)
	}
	if y.shelved() != 3 {
		t.Errorf("got %d servers after two were lost, want the minimum of 3", y.shelved())
	}
}

func TestMinimumSizeNeedsCredentials(t *testing.T) {
	y := newYard(t, 1, 1, func(s *Settings) { s.MinPool, s.IdleTimeout = 2, time.Minute })
	y.shelve(y.workers.all[0], appKey)
	for range 3 {
		y.later(choresEvery)
	}
	if y.shelved() != 1 {
		t.Fatalf("got %d servers", y.shelved())
	}
	y.later(time.Hour)
	if y.shelved() != 0 {
		t.Errorf("%d servers of a user whose credentials are not stored are kept", y.shelved())
	}
}

// TestMinimumSizeCannotBeOpened checks that a failure to open leaves nothing counted, and that opening
// is tried again.
func TestMinimumSizeCannotBeOpened(t *testing.T) {
	y := newYard(t, 1, 1, func(s *Settings) { s.MinPool = 2 })
	y.secrets = true
	y.shelve(y.workers.all[0], appKey)
	y.fails = errors.New("connection refused")
	y.later(choresEvery)
	if y.workers.allocator.Total() != 1 {
		t.Errorf("%d servers are counted after a failure to open", y.workers.allocator.Total())
	}
	y.fails = nil
	y.later(choresEvery)
	if y.shelved() != 2 {
		t.Errorf("got %d servers", y.shelved())
	}
}

// guest logs in a client, and waits until it has been greeted.
func (y *yard) guest(worker int) *ringtest.Peer {
	y.t.Helper()
	fd, peer := y.net.Pair()
	y.workers.Adopt(uint64(worker), Login{Socket: Socket{FD: fd}, Client: session.Client{Target: appKey.Target()}})
	var got []byte
	y.until("the client is greeted", func() bool {
		got = append(got, peer.Read()...)
		return bytes.HasSuffix(got, ready)
	})
	return peer
}

// answered sends a query, and waits for the end of the answer.
func (y *yard) answered(peer *ringtest.Peer, sql string) {
	y.t.Helper()
	_, _ = peer.Write(wire.AppendQuery(nil, sql))
	var got []byte
	y.until("the answer has arrived", func() bool {
		got = append(got, peer.Read()...)
		return bytes.Contains(got, []byte{'Z', 0, 0, 0, 5})
	})
}

// TestServerMoves checks that a server moves to the worker where a session waits for it.
func TestServerMoves(t *testing.T) {
	y := newYard(t, 2, 2, func(s *Settings) { s.Limits.Node = 1 })
	y.shelve(y.workers.all[0], appKey)
	peer := y.guest(1)
	y.answered(peer, "1 ROWS 3")
	if len(y.servers) != 1 || y.workers.allocator.Total() != 1 || y.shelved() != 0 {
		t.Errorf("%d servers were opened and %d are counted", len(y.servers), y.workers.allocator.Total())
	}
	_, _ = peer.Write(wire.AppendTerminate(nil))
	y.until("the server is in the list of idle servers of worker 1", func() bool { return y.workers.all[1].idle.Len() == 1 })
}

// TestAdoptWhileClosing checks that a client that arrives in the turn of Stop is closed, and does not
// keep the worker from ending.
func TestAdoptWhileClosing(t *testing.T) {
	y := newYard(t, 1, 1)
	fd, _ := y.net.Pair()
	w := y.workers.all[0]
	w.Stop()
	w.Adopt(Login{Socket: Socket{FD: fd}, Client: session.Client{Target: appKey.Target()}})
	y.turns(5)
	if !w.Over() || len(w.tasks) != 0 {
		t.Errorf("the worker is over: %v, with %d sessions", w.Over(), len(w.tasks))
	}
}

// TestStop checks that Stop ends sessions in every state, and every server.
func TestStop(t *testing.T) {
	y := newYard(t, 1, 2, func(s *Settings) { s.Limits.Node = 2 })
	idle := y.guest(0)
	busy := y.guest(1)
	y.answered(busy, "2 BEGIN 0")
	y.answered(idle, "3 ROWS 1")
	y.shelved()
	fd, waiting := y.net.Pair()
	y.workers.Adopt(0, Login{Socket: Socket{FD: fd}, Client: session.Client{Target: appKey.Target()}})
	_, _ = waiting.Write(wire.AppendQuery(nil, "4 ROWS 1"))
	y.until("a session waits", func() bool { return y.workers.allocator.Waiting() == 1 })
	y.workers.Stop()
	y.until("all workers are over", func() bool { return y.workers.all[0].Over() && y.workers.all[1].Over() })
	y.turns(50)
	for name, peer := range map[string]*ringtest.Peer{"idle": idle, "busy": busy, "waiting": waiting} {
		if !peer.Gone() {
			t.Errorf("the connection of the client %q is still open", name)
		}
	}
	for _, s := range y.servers {
		if !s.peer.Gone() {
			t.Errorf("server %d is still open", s.pid)
		}
	}
	if y.workers.all[0].Post(func() {}) {
		t.Error("a closed worker accepted a message")
	}
}
