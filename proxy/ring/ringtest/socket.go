package ringtest

import (
	"io"
	"syscall"
	"time"
)

// socket is a connection: fd is the Loop's end, a Peer has the other.
type socket struct {
	fd      int
	in, out *pipe // towards the Loop, away from it
	outbox  []byte
	fin     bool // the peer ends its direction after the outbox
	finned  bool
	reset   bool
	closed  bool // by the Loop
	users   int  // operations in flight
	engine  *engine
}

// pipe is one direction of a socket.
type pipe struct {
	window   int
	flying   []piece
	waiting  []byte // arrived, not yet read
	load     int    // bytes flying and waiting
	eof      bool   // the end has arrived, behind waiting
	lowWater int    // so many must wait before they are received
}

type piece struct {
	at   time.Time
	data []byte
	fin  bool
}

// write takes a prefix of p as the window allows, and returns its length.
func (p *pipe) write(n *Network, data []byte) int {
	room := min(p.window-p.load, len(data))
	if room <= 0 {
		return 0
	}
	k := n.short(room)
	p.load += k
	p.fly(n, piece{data: append([]byte(nil), data[:k]...)})
	return k
}

func (p *pipe) fly(n *Network, x piece) {
	x.at = n.now.Add(n.upTo(maxDelay))
	if k := len(p.flying); k > 0 && x.at.Before(p.flying[k-1].at) {
		x.at = p.flying[k-1].at // no byte overtakes another
	}
	p.flying = append(p.flying, x)
}

func (p *pipe) arrive(now time.Time) {
	for len(p.flying) > 0 && !p.flying[0].at.After(now) {
		p.waiting = append(p.waiting, p.flying[0].data...)
		p.eof = p.eof || p.flying[0].fin
		p.flying = p.flying[1:]
	}
}

// read moves waiting bytes to the buffer.
func (p *pipe) read(into []byte) int {
	k := copy(into, p.waiting)
	p.waiting = p.waiting[k:]
	p.load -= k
	return k
}

// pump moves the peer's outbox into the pipe.
func (s *socket) pump(n *Network) {
	if s.closed || s.reset {
		s.outbox = nil
		return
	}
	if len(s.outbox) > 0 {
		s.outbox = s.outbox[s.in.write(n, s.outbox):]
	}
	if len(s.outbox) == 0 && s.fin && !s.finned {
		s.finned = true
		s.in.fly(n, piece{fin: true})
	}
}

// Peer is the end of a socket that a test plays.
type Peer struct {
	net    *Network
	socket *socket
}

// Write sends p; what the window does not allow yet waits and goes out in later Steps.
func (p *Peer) Write(b []byte) (int, error) {
	s := p.socket
	if s.reset {
		return 0, syscall.ECONNRESET
	}
	if s.fin {
		return 0, syscall.EPIPE
	}
	s.outbox = append(s.outbox, b...)
	return len(b), nil
}

// Unsent is the number of written bytes that still wait for the window.
func (p *Peer) Unsent() int { return len(p.socket.outbox) }

// Read takes all bytes that have arrived; nil when there are none.
func (p *Peer) Read() []byte { return p.ReadSome(p.Arrived()) }

// ReadSome takes at most limit of the bytes that have arrived.
func (p *Peer) ReadSome(limit int) []byte {
	b := make([]byte, min(limit, p.Arrived()))
	p.socket.out.read(b)
	return b
}

// Arrived is the number of bytes that Read would return.
func (p *Peer) Arrived() int { return len(p.socket.out.waiting) }

// CloseWrite ends the peer's direction behind what it has written.
func (p *Peer) CloseWrite() { p.socket.fin = true }

// Reset breaks the connection; bytes on their way are lost.
func (p *Peer) Reset() { p.socket.reset = true }

// Closed is nil while bytes may still come from the Loop, io.EOF after the last one, or the error.
func (p *Peer) Closed() error {
	switch s := p.socket; {
	case s.reset:
		return syscall.ECONNRESET
	case s.out.eof && len(s.out.waiting) == 0:
		return io.EOF
	}
	return nil
}

// Gone says that the Loop's side has closed its descriptor.
func (p *Peer) Gone() bool { return p.socket.closed }
