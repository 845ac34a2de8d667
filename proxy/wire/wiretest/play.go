package wiretest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"pgherd/proxy/wire"
)

// ErrDied is what Play returns when the script's DieAfter had its way.
var ErrDied = errors.New("died as the script wanted")

// Play plays the script's side over conn. The error says which line differed,
// what was wanted and what came. conn stays open unless a step closes it; its
// deadline is Patience from now.
func (s Script) Play(conn net.Conn, side Side) error {
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		return err
	}
	p := &player{side: side, conn: conn, mortal: conn, fatal: s.fatal, skip: map[string]bool{}}
	for i := range s.steps {
		step := &s.steps[i]
		if err := p.do(step); err != nil {
			return fmt.Errorf("play %s: %w", step.at, err)
		}
	}
	return nil
}

// player is one play of a script.
type player struct {
	side    Side
	conn    net.Conn // TLS, once there was a handshake
	mortal  net.Conn // what is reset: never TLS
	fatal   int      // bytes that may still be sent; negative: any number
	skip    map[string]bool
	refused bool // the password is meant to be wrong
}

func (p *player) do(s *step) error {
	switch s.verb {
	case "TLS":
		return p.handshake(s)
	case "authenticate":
		return p.authenticate(s)
	case "skip":
		for _, w := range s.words {
			p.skip[w.text] = true
		}
		return nil
	}
	for range s.repeat {
		if err := p.once(s); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) once(s *step) error {
	if s.side != p.side {
		return p.expect(s)
	}
	switch s.verb {
	case "close":
		return p.conn.Close()
	case "reset":
		return p.reset()
	}
	if s.built == nil {
		return fmt.Errorf("%v: a wildcard cannot be sent", s)
	}
	return p.send(s.built)
}

// send writes, and dies in the middle of it if the script wants that.
func (p *player) send(b []byte) error {
	if p.fatal >= 0 && p.fatal <= len(b) {
		if _, err := p.conn.Write(b[:p.fatal]); err != nil {
			return err
		}
		return errors.Join(ErrDied, p.reset())
	}
	if p.fatal >= 0 {
		p.fatal -= len(b)
	}
	_, err := p.conn.Write(b)
	return err
}

// reset closes with a RST where the transport knows that.
func (p *player) reset() error {
	if tcp, ok := p.mortal.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			return err
		}
	}
	return p.mortal.Close()
}

func (p *player) expect(s *step) error {
	switch s.verb {
	case "close", "reset":
		return p.expectEnd(s)
	case "message":
		return p.expectMessage(s)
	}
	got := make([]byte, len(s.built))
	if n, err := io.ReadFull(p.conn, got); err != nil {
		return wanted(s, fmt.Sprintf("%q, then %v", got[:n], err))
	}
	if !bytes.Equal(got, s.built) {
		return wanted(s, fmt.Sprintf("%q", got))
	}
	return nil
}

// wanted is the error of a step that was not what came.
func wanted(s *step, got string) error {
	return fmt.Errorf("wanted %v\n\tgot %s", s, got)
}

func (p *player) expectEnd(s *step) error {
	_, got, err := p.next(s)
	switch {
	case err == nil:
		return wanted(s, got)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return wanted(s, "nothing for "+Patience.String())
	case s.verb == "close" && !errors.Is(err, io.EOF):
		return wanted(s, err.Error())
	}
	return nil
}

func (p *player) expectMessage(s *step) error {
	words, got, err := p.next(s)
	if err != nil {
		return wanted(s, err.Error())
	}
	if words.message != s.message || !match(s.words, words.words) {
		return wanted(s, got)
	}
	return nil
}

// next reads the next message that is not passed over: what it is, and how a
// trace would write it.
func (p *player) next(s *step) (*step, string, error) {
	for {
		got, err := p.receive(s)
		if err != nil {
			return nil, "", err
		}
		if !p.skip[got.message.name] {
			return got, got.String(), nil
		}
	}
}

func (p *player) receive(s *step) (*step, error) {
	got := &step{side: s.side, verb: "message"}
	tag, body, err := p.read(s.message != nil && s.message.untagged())
	if err != nil {
		return nil, err
	}
	if tag == 0 {
		got.message, got.words, err = identifyFirst(body)
	} else {
		got.message, got.words, err = identify(s.side, tag, body, s.message)
	}
	return got, err
}

// identifyFirst finds what a first packet is.
func identifyFirst(body []byte) (*message, []word, error) {
	f, err := wire.ViewFirst(body)
	if err != nil {
		return nil, nil, fmt.Errorf("a first packet that cannot be read: %w", err)
	}
	return findMessage(Client, f.Kind.String()), firstWords(&f), nil
}

// read reads one message, and not a byte more: a handshake may follow.
func (p *player) read(untagged bool) (tag byte, body []byte, err error) {
	head := make([]byte, 5)
	most := longestBody
	if untagged {
		head, most = head[1:], firstBodyMost
	}
	if _, err := io.ReadFull(p.conn, head); err != nil {
		return 0, nil, err
	}
	if !untagged {
		tag = head[0]
	}
	n := int(int32(binary.BigEndian.Uint32(head[len(head)-4:]))) - 4
	if n < 0 || n > most {
		return 0, nil, fmt.Errorf("a message of type %q and length %d", tag, n+4)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(p.conn, body)
	return tag, body, err
}
