package worker

import (
	"crypto/tls"
	"errors"
	"io"

	"pgherd/proxy/ring"
	"pgherd/proxy/wire"
)

// endpoint is a connection on this worker's ring.
type endpoint interface {
	wire.Endpoint
	conn() *ring.Conn
	// move hands the socket over, once conn is detached. Everything that was received
	// must have been taken.
	move(fd int) Socket
}

// open puts a socket on the worker's ring.
func (w *Worker) open(s Socket, owner ring.Owner) endpoint {
	c := w.loop.Open(s.FD, owner)
	if s.TLS == nil {
		return plain{c}
	}
	e := &secure{ring: c, tls: s.TLS, under: s.Transport, w: w}
	e.under.attach(e)
	return e
}

// plain is an endpoint without TLS.
type plain struct{ ring *ring.Conn }

func (p plain) Take() wire.Chunk { return chunk(p.ring.Take()) }

// chunk prevents that a nil Buf becomes a Chunk that is not nil.
func chunk(b *ring.Buf) wire.Chunk {
	if b == nil {
		return nil
	}
	return b
}

func (p plain) Ended() error                      { return ended(p.ring) }
func (p plain) Left() bool                        { return p.ring.EndSeen() || p.ring.Broken() != nil }
func (p plain) Forward(c wire.Chunk, part []byte) { p.ring.Send(c.(*ring.Buf), part) }
func (p plain) Write(b []byte)                    { p.ring.Write(b) }
func (p plain) Queued() int                       { return p.ring.Queued() }
func (p plain) TellSends()                        { p.ring.TellSends() }
func (p plain) Stream(on bool)                    { p.ring.Stream(on) }
func (p plain) Close()                            { p.ring.Close() }
func (p plain) conn() *ring.Conn                  { return p.ring }
func (p plain) move(fd int) Socket                { return Socket{FD: fd} }

// ended says that a connection is over on which nothing can be sent, even if the other
// side never closes its own.
func ended(c *ring.Conn) error {
	if err := c.Ended(); err != nil {
		return err
	}
	return c.Broken()
}

// secure is an endpoint with TLS, which transforms the bytes around the same ring.
type secure struct {
	w     *Worker
	ring  *ring.Conn
	tls   *tls.Conn
	under *Transport
	in    *ring.Buf // ciphertext that is being read
	read  int       // of it
	over  error     // why nothing more will come

	// Parts of one chunk that follow each other become one record: they are collected
	// here until the turn ends or something else is sent.
	gathered   *ring.Buf
	start, end int // in its bytes
}

// recordRoom is the most that one read of a tls.Conn returns: the plaintext of a TLS
// record.
const recordRoom = 16 << 10

// Take decrypts. It first returns what the tls.Conn has decrypted already.
func (e *secure) Take() wire.Chunk {
	if e.over != nil {
		return nil
	}
	b := e.w.loop.Get(recordRoom)
	n, err := e.tls.Read(b.Room())
	if n == 0 {
		b.Release()
		if _, later := errors.AsType[notYet](err); err != nil && !later {
			e.over = err
		}
		return nil
	}
	b.Fill(n)
	return b
}

// Receive hands ciphertext to the tls.Conn, without waiting.
func (e *secure) Receive(p []byte) (int, error) {
	for e.in == nil || e.read == len(e.in.Bytes()) {
		e.drop()
		if e.in = e.ring.Take(); e.in == nil {
			if err := e.ring.Ended(); err != nil {
				return 0, err
			}
			return 0, notYet{}
		}
	}
	n := copy(p, e.in.Bytes()[e.read:])
	e.read += n
	return n, nil
}

// Transmit takes ciphertext from the tls.Conn, which is in the middle of a Write.
func (e *secure) Transmit(p []byte) { e.ring.Write(p) }

func (e *secure) drop() {
	if e.in != nil {
		e.in.Release()
	}
	e.in, e.read = nil, 0
}

func (e *secure) Ended() error {
	if e.over != nil {
		return e.over
	}
	return e.ring.Broken()
}

func (e *secure) Left() bool { return e.over != nil || e.ring.EndSeen() || e.ring.Broken() != nil }

func (e *secure) Forward(c wire.Chunk, part []byte) {
	b := c.(*ring.Buf)
	at := cap(b.Bytes()) - cap(part) // a part of a chunk has the same end of capacity
	if e.gathered != b || e.end != at {
		e.flush()
		b.Hold()
		e.gathered, e.start = b, at
		e.w.gathering = append(e.w.gathering, e)
	}
	e.end = at + len(part)
}

// flush encrypts what was collected. The ring shows any error.
func (e *secure) flush() {
	if e.gathered != nil {
		_, _ = e.tls.Write(e.gathered.Bytes()[e.start:e.end])
		e.gathered.Release()
	}
	e.gathered, e.start, e.end = nil, 0, 0
}

func (e *secure) Write(p []byte) {
	e.flush()
	_, _ = e.tls.Write(p)
}

func (e *secure) Queued() int    { return e.ring.Queued() + e.end - e.start }
func (e *secure) TellSends()     { e.ring.TellSends() }
func (e *secure) Stream(on bool) { e.ring.Stream(on) }

func (e *secure) Close() {
	e.flush()
	e.drop()
	e.over = io.ErrClosedPipe
	e.ring.Close()
}

func (e *secure) conn() *ring.Conn { return e.ring }

func (e *secure) move(fd int) Socket {
	e.drop()
	return Socket{FD: fd, TLS: e.tls, Transport: e.under}
}
