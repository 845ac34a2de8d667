// Package load drives PostgreSQL, or a proxy in front of it, as a client that costs as
// little as possible: it reads the heads of messages and skips the rest.
//
// Contract: a Conn belongs to one goroutine. Every wait ends after answerLimit. An
// ERROR from the server is an error here, and the Conn cannot be used after it. pgbench
// does what pgbench can do; this package does the rest.
package load

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	answerLimit = 2 * time.Minute // for one read or write; after that it counts as hanging
	dialLimit   = 30 * time.Second
	readBuffer  = 64 << 10 // the most that a client takes at a time
	smallBuffer = 512      // for a client that only asks for little, because crowds have thousands
)

// Target is where to log in, and as whom; the password is the user's name.
type Target struct {
	Host     string
	Port     int
	User     string
	Database string
	TLS      bool // required, the certificate unchecked
}

// DSN is the target as libpq's programs take it.
func (t Target) DSN() string {
	mode := "disable"
	if t.TLS {
		mode = "require"
	}
	return fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=%s", t.Host, t.Port, t.User, t.User, t.Database, mode)
}

// stream is a TCP connection, TLS over one, or a socket that blocks.
type stream interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
	Close() error
}

// Conn is one client.
type Conn struct {
	stream stream
	arm    func() error // when to set the deadline of the next read or write
	buf    []byte
	heads  heads
}

// Dial logs in.
func Dial(ctx context.Context, target Target) (*Conn, error) {
	dialer := net.Dialer{Timeout: dialLimit}
	tcp, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(target.Host, fmt.Sprint(target.Port)))
	if err != nil {
		return nil, err
	}
	c := &Conn{stream: tcp, buf: make([]byte, smallBuffer)}
	c.arm = func() error { return tcp.SetDeadline(time.Now().Add(answerLimit)) }
	if target.TLS {
		err = c.startTLS(tcp)
	}
	if err == nil {
		err = c.login(target)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("log in at port %d: %w", target.Port, err), tcp.Close())
	}
	return c, nil
}

// startTLS negotiates TLS as the protocol says: a request, one byte, the handshake.
func (c *Conn) startTLS(tcp net.Conn) error {
	const sslRequest = 1234<<16 | 5679
	if err := c.arm(); err != nil {
		return err
	}
	request := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, sslRequest)
	if _, err := tcp.Write(request); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := tcp.Read(answer[:]); err != nil {
		return err
	}
	if answer[0] != 'S' {
		return errors.New("TLS is not offered")
	}
	secured := tls.Client(tcp, &tls.Config{InsecureSkipVerify: true}) // speed is measured here, not trust
	c.stream = secured
	return secured.Handshake()
}

// Widen gives it a large buffer, for large answers.
func (c *Conn) Widen() { c.buf = make([]byte, readBuffer) }

// Block makes the socket block in recv, with a large buffer, as a C client's does,
// without the detour over Go's poller. It does not work with TLS.
func (c *Conn) Block() error {
	c.Widen()
	tcp, ok := c.stream.(*net.TCPConn)
	if !ok {
		return nil
	}
	file, err := tcp.File() // a duplicate that blocks
	if err != nil {
		return err
	}
	limit := unix.NsecToTimeval(answerLimit.Nanoseconds())
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(int(file.Fd()), unix.SOL_SOCKET, option, &limit); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	c.stream, c.arm = blocking{file}, func() error { return nil }
	return tcp.Close()
}

type blocking struct{ *os.File }

// Close says good-bye and closes.
func (c *Conn) Close() error {
	if err := c.send(message('X', nil)); err != nil {
		return errors.Join(err, c.stream.Close())
	}
	return c.stream.Close()
}

// Drop closes without a goodbye, as a client that was killed does.
func (c *Conn) Drop() error { return c.stream.Close() }

func (c *Conn) send(bytes []byte) error {
	if err := c.arm(); err != nil {
		return err
	}
	_, err := c.stream.Write(bytes)
	return err
}

func (c *Conn) read() ([]byte, error) {
	if err := c.arm(); err != nil {
		return nil, err
	}
	n, err := c.stream.Read(c.buf)
	if n > 0 {
		return c.buf[:n], nil
	}
	return nil, err
}

// message is a message of the protocol: its kind, its length, its body.
func message(kind byte, body []byte) []byte {
	m := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return append(m, body...)
}
