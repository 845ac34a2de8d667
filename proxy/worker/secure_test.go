package worker

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"pgherd/proxy/ring"
	"pgherd/proxy/ring/ringtest"
	"pgherd/proxy/wire"
)

// certificate is one for all tests; no test verifies it.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// line is the far side's connection: a pipe during the handshake, then the far end of a simulated
// socket. While it is corked, it holds back what is written.
type line struct {
	net.Conn
	peer   *ringtest.Peer
	corked bool
	held   []byte
	got    []byte // read from the peer
	record []byte // all ciphertext that has arrived
}

func (l *line) Write(p []byte) (int, error) {
	if l.corked {
		l.held = append(l.held, p...)
		return len(p), nil
	}
	if l.peer != nil {
		return l.peer.Write(p)
	}
	return l.Conn.Write(p)
}

func (l *line) Read(p []byte) (int, error) {
	if l.peer == nil {
		return l.Conn.Read(p)
	}
	if len(l.got) == 0 {
		l.got = l.peer.Read()
		l.record = append(l.record, l.got...)
	}
	if len(l.got) == 0 {
		if err := l.peer.Closed(); err != nil {
			return 0, err
		}
		return 0, notYet{}
	}
	n := copy(p, l.got)
	l.got = l.got[n:]
	return n, nil
}

// spot is a TLS endpoint on a worker's ring, with its far side.
type spot struct {
	*yard
	w    *Worker
	e    *secure
	near *tls.Conn // the endpoint's side
	far  *tls.Conn
	line *line
}

// newSpot does the handshake on goroutines over a net.Conn, as a log-in does. It sends early right
// behind the handshake, in one piece with its last flight. The endpoint is the TLS server's side or
// the client's.
func newSpot(t *testing.T, seed uint64, workers int, early string, server bool) *spot {
	s := &spot{yard: newYard(t, seed, workers)}
	s.w = s.workers.all[0]
	here, there := net.Pipe()
	under := NewTransport(here)
	s.line = &line{Conn: there}
	passive := &tls.Config{Certificates: []tls.Certificate{certificate()}, SessionTicketsDisabled: true}
	active := &tls.Config{InsecureSkipVerify: true}
	s.near, s.far = tls.Server(under, passive), tls.Client(s.line, active)
	if !server {
		s.near, s.far = tls.Client(under, active), tls.Server(s.line, passive)
	}
	shaken := make(chan error, 1)
	go func() { shaken <- s.near.Handshake() }()
	s.shake(early)
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	fd, peer := s.net.Pair()
	s.line.peer = peer
	s.e = s.w.open(Socket{FD: fd, TLS: s.near, Transport: under}, nil).(*secure)
	return s
}

// shake does the far side's handshake.
func (s *spot) shake(early string) {
	if early == "" {
		if err := s.far.Handshake(); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	corking := &corker{line: s.line}
	s.far = tls.Client(corking, &tls.Config{InsecureSkipVerify: true})
	if err := s.far.Handshake(); err != nil {
		s.t.Fatal(err)
	}
	_, _ = s.far.Write([]byte(early))
	s.line.corked = false
	if _, err := s.line.Write(s.line.held); err != nil {
		s.t.Fatal(err)
	}
}

// corker holds back what a client writes once it has read its server's flight.
type corker struct{ *line }

func (c *corker) Read(p []byte) (int, error) {
	n, err := c.line.Read(p)
	c.corked = c.peer == nil
	return n, err
}

// heard is what the far side has received so far.
func (s *spot) heard() (all []byte) {
	b := make([]byte, 32<<10)
	for {
		n, err := s.far.Read(b)
		all = append(all, b[:n]...)
		if n == 0 || err != nil {
			return all
		}
	}
}

// takes returns what the endpoint has received.
func (s *spot) takes() (all []byte) {
	for c := s.e.Take(); c != nil; c = s.e.Take() {
		all = append(all, c.Bytes()...)
		c.Release()
	}
	return all
}

// TestSecureEarlyData checks that what the tls.Conn has read, and perhaps decrypted, during the
// handshake can be read at once, before a byte arrives on the ring.
func TestSecureEarlyData(t *testing.T) {
	s := newSpot(t, 1, 1, "select 1", true)
	if got := s.takes(); string(got) != "select 1" || s.e.Ended() != nil {
		t.Errorf("got %q, and the endpoint ended by %v", got, s.e.Ended())
	}
}

// TestSecureNothingYet checks that an endpoint on which nothing has arrived has not ended, however
// often it is read.
func TestSecureNothingYet(t *testing.T) {
	for _, server := range []bool{true, false} {
		s := newSpot(t, 1, 1, "", server)
		for range 5 {
			if c := s.e.Take(); c != nil || s.e.Ended() != nil {
				t.Fatalf("got chunk %v, and the endpoint ended by %v; want neither", c, s.e.Ended())
			}
			s.turns(3)
		}
		_, _ = s.far.Write([]byte("late"))
		var got []byte
		s.until("the bytes sent late have arrived", func() bool { got = append(got, s.takes()...); return string(got) == "late" })
	}
	if later := net.Error(notYet{}); !later.Timeout() || later.Error() == "" {
		t.Error("the error for no data is not temporary, and a tls.Conn survives only temporary errors")
	}
}

// TestSecureEcho sends many bytes in both directions at the same time. Records and chunks are cut
// anywhere; some parts of chunks are forwarded, others copied.
func TestSecureEcho(t *testing.T) {
	for seed := range uint64(6) {
		s := newSpot(t, seed, 1, "", seed%2 == 0)
		random := rand.New(rand.NewPCG(seed, 9))
		sent := make([]byte, 200_000)
		for i := range sent {
			sent[i] = byte(random.Uint32())
		}
		rest, got := sent, []byte(nil)
		s.until("all bytes have come back", func() bool {
			if len(rest) > 0 {
				n := min(len(rest), 1+random.IntN(20_000))
				_, _ = s.far.Write(rest[:n])
				rest = rest[n:]
			}
			if s.e.Queued() < 64<<10 {
				s.echo(random)
			}
			got = append(got, s.heard()...)
			return len(got) >= len(sent)
		})
		if !bytes.Equal(got, sent) {
			t.Fatalf("seed %d: the bytes that came back differ from those sent", seed)
		}
		s.until("all bytes are sent", func() bool { return s.e.Queued() == 0 })
	}
}

// echo sends a chunk back in parts.
func (s *spot) echo(random *rand.Rand) {
	c := s.e.Take()
	if c == nil {
		return
	}
	for b := c.Bytes(); len(b) > 0; {
		n := 1 + random.IntN(len(b))
		if random.IntN(4) == 0 {
			s.e.Write(b[:n])
		} else {
			s.e.Forward(c, b[:n])
		}
		b = b[n:]
	}
	c.Release()
}

// records counts the TLS records of application data in ciphertext.
func records(b []byte) (n int) {
	for len(b) >= 5 {
		if b[0] == 23 {
			n++
		}
		b = b[min(len(b), 5+int(binary.BigEndian.Uint16(b[3:]))):]
	}
	return n
}

// TestSecureGathers checks that adjacent parts of one chunk become one record, which is sent at the
// end of the turn, and that the order is kept whatever comes between them.
func TestSecureGathers(t *testing.T) {
	for name, c := range map[string]struct {
		send    func(s *spot, c wire.Chunk)
		want    string
		records int
	}{
		"adjacent parts": {func(s *spot, c wire.Chunk) {
			for i := range 10 {
				s.e.Forward(c, c.Bytes()[i:i+1])
			}
		}, "0123456789", 1},
		"parts with gaps": {func(s *spot, c wire.Chunk) {
			s.e.Forward(c, c.Bytes()[:3])
			s.e.Forward(c, c.Bytes()[5:7])
			s.e.Forward(c, c.Bytes()[7:])
		}, "01256789", 2},
		"other bytes between parts": {func(s *spot, c wire.Chunk) {
			s.e.Forward(c, c.Bytes()[:3])
			s.e.Write([]byte("x"))
			s.e.Forward(c, c.Bytes()[3:])
		}, "012x3456789", 3},
		"backwards": {func(s *spot, c wire.Chunk) {
			s.e.Forward(c, c.Bytes()[5:])
			s.e.Forward(c, c.Bytes()[:5])
		}, "5678901234", 2},
		"nothing": {func(*spot, wire.Chunk) {}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpot(t, 4, 1, "0123456789", true)
			chunk := s.e.Take()
			c.send(s, chunk)
			queued := s.e.Queued()
			chunk.Release()
			if (queued > 0) != (c.want != "") {
				t.Errorf("%d bytes are queued before the turn is over", queued)
			}
			var got []byte
			s.turns(50)
			got = append(got, s.heard()...)
			if n := records(s.line.record); string(got) != c.want || n != c.records || s.e.Queued() != 0 {
				t.Errorf("%q in %d records, want %q in %d", got, n, c.want, c.records)
			}
		})
	}
}

// TestSecureEnds checks each way in which the far side can end the connection.
func TestSecureEnds(t *testing.T) {
	for name, c := range map[string]struct {
		how   func(s *spot)
		clean bool
	}{
		"a close_notify":               {func(s *spot) { _ = s.far.CloseWrite() }, true},
		"the end without close_notify": {func(s *spot) { s.line.peer.CloseWrite() }, true},
		"a broken connection":          {func(s *spot) { s.line.peer.Reset() }, false},
		"garbage":                      {func(s *spot) { _, _ = s.line.peer.Write([]byte("nonsense that is no record")) }, false},
		"a record that was altered":    {func(s *spot) { _, _ = s.line.peer.Write(append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...)) }, false},
		"half a record, then the end": {func(s *spot) {
			_, _ = s.line.peer.Write([]byte{23, 3, 3, 0, 32, 1, 2, 3})
			s.line.peer.CloseWrite()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpot(t, 5, 1, "", true)
			_, _ = s.far.Write([]byte("last words"))
			var got []byte
			hear := func() bool { got = append(got, s.takes()...); return string(got) == "last words" }
			s.until("the last bytes have arrived", hear)
			c.how(s)
			s.until("the endpoint has ended", func() bool { return s.e.Take() == nil && s.e.Ended() != nil })
			if clean := errors.Is(s.e.Ended(), io.EOF); clean != c.clean {
				t.Errorf("the endpoint ended by %v", s.e.Ended())
			}
			if s.e.Take() != nil || string(got) != "last words" {
				t.Errorf("received %q around the end, want nothing", got)
			}
		})
	}
}

// TestSecureHalfClosed checks that the far side still gets answers after its close_notify.
func TestSecureHalfClosed(t *testing.T) {
	s := newSpot(t, 6, 1, "", true)
	_ = s.far.CloseWrite()
	s.until("the close_notify has arrived", func() bool { return s.e.Take() == nil && s.e.Ended() == io.EOF })
	s.e.Write([]byte("answer"))
	var got []byte
	s.until("the answer has arrived", func() bool { got = append(got, s.heard()...); return string(got) == "answer" })
}

// TestSecureCloses checks that Close drops what is left, holds no memory, and may be called again.
func TestSecureCloses(t *testing.T) {
	s := newSpot(t, 7, 1, "0123456789", true)
	chunk := s.e.Take()
	s.e.Forward(chunk, chunk.Bytes())
	_, _ = s.far.Write(make([]byte, 40_000))
	s.until("ciphertext of which a part was read", func() bool {
		if c := s.e.Take(); c != nil {
			c.Release()
		}
		return s.e.in != nil
	})
	s.e.Close()
	s.e.Close()
	chunk.Release()
	if s.e.Take() != nil || s.e.Ended() == nil || s.e.in != nil || s.e.gathered != nil {
		t.Error("a closed endpoint goes on, or holds memory")
	}
	s.until("the far side sees the end", func() bool { s.line.peer.Read(); return s.line.peer.Gone() })
}

// TestSecureMoves moves a connection from one ring to another and back, in the middle of a record.
func TestSecureMoves(t *testing.T) {
	for seed := range uint64(10) {
		s := newSpot(t, seed, 2, "", false)
		for i := range 4 {
			s.e.Write([]byte("ping"))
			var got []byte
			s.until("the ping has arrived", func() bool { got = append(got, s.heard()...); return string(got) == "ping" })
			s.line.corked = true
			_, _ = s.far.Write(bytes.Repeat([]byte("pong"), 500))
			s.line.corked = false
			record := take(&s.line.held)
			_, _ = s.line.Write(record[:700])
			s.turns(10)
			if s.e.Take() != nil {
				t.Fatal("half a record was decrypted")
			}
			s.move(s.workers.all[1-i%2])
			_, _ = s.line.Write(record[700:])
			got = nil
			s.until("the pong has arrived", func() bool { got = append(got, s.takes()...); return len(got) >= 2000 })
			if !bytes.Equal(got, bytes.Repeat([]byte("pong"), 500)) {
				t.Fatalf("seed %d, move %d: got %d bytes, which are not those sent", seed, i, len(got))
			}
		}
	}
}

// move does what a worker does that moves a server.
func (s *spot) move(to *Worker) {
	s.t.Helper()
	s.e.conn().Detach()
	var socket Socket
	s.until("the descriptor is handed over", func() bool {
		fd, ok := s.e.conn().Detached()
		if ok {
			socket = s.e.move(fd)
		}
		return ok
	})
	if s.e.Take() != nil {
		s.t.Fatal("a whole record was left over")
	}
	s.e, s.w = to.open(socket, nil).(*secure), to
}

// TestTransportOnItsRing checks that the transport has no deadlines, and is closed by its endpoint.
func TestTransportOnItsRing(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	tr := NewTransport(here)
	past := time.Unix(1, 0)
	if err := errors.Join(tr.SetReadDeadline(past), tr.SetWriteDeadline(past), tr.SetDeadline(past)); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Read(make([]byte, 1)); err == nil {
		t.Error("a deadline in the past has no effect before the connection is on its ring")
	}
	s := newSpot(t, 8, 1, "", true)
	tr.attach(s.e)
	if err := errors.Join(tr.SetReadDeadline(past), tr.SetWriteDeadline(past), tr.SetDeadline(past), tr.Close()); err != nil {
		t.Error(err)
	}
	if n, err := tr.Read(make([]byte, 1)); n != 0 || !errors.Is(err, notYet{}) {
		t.Errorf("read %d bytes, error %v", n, err)
	}
	if s.e.Ended() != nil {
		t.Error("closing the transport has closed the endpoint")
	}
}

var _ wire.Chunk = (*ring.Buf)(nil)
