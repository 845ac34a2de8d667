package differential

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgherd/bench/herd"
)

// The clients are only sockets. A library reads ahead, answers by itself, and hides what is to be compared.

const (
	loginLimit    = 20 * time.Second
	protocol30    = 3 << 16
	cancelRequest = 1234<<16 | 5678
	// trust lets these clients in without a password.
	trust = "host all all 127.0.0.1/32 trust\n"
)

// target is a server against which a script is run.
type target struct {
	name   string
	host   string
	port   int
	direct bool // the target is PostgreSQL itself
}

func (to target) addr() string { return net.JoinHostPort(to.host, strconv.Itoa(to.port)) }

// talk is one client: a connection, and what it was told at the log-in.
type talk struct {
	conn     net.Conn
	in       *bufio.Reader
	addr     string
	script   *script // nil if the client runs no script
	reported map[string]string
	status   string
	key      []byte // process number and secret, as in a CancelRequest
}

// dial logs in as alice, with further parameters.
func dial(to target, s *script) (*talk, error) {
	conn, err := net.DialTimeout("tcp", to.addr(), loginLimit)
	if err != nil {
		return nil, err
	}
	c := newTalk(conn, to, s)
	if err := c.login(startup(s.startup)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: log in: %w", to.name, err)
	}
	return c, nil
}

func newTalk(conn net.Conn, to target, s *script) *talk {
	return &talk{conn: conn, in: bufio.NewReaderSize(conn, 1<<16), addr: to.addr(), script: s, reported: map[string]string{}}
}

func (c *talk) login(packet []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(loginLimit)); err != nil {
		return err
	}
	if _, err := c.conn.Write(packet); err != nil {
		return err
	}
	for {
		kind, body, err := c.read()
		switch {
		case err != nil:
			return err
		case kind == 'E':
			return fmt.Errorf("refused: %q", body)
		case kind == 'S':
			name, value, _ := strings.Cut(strings.TrimSuffix(string(body), "\x00"), "\x00")
			c.reported[name] = value
		case kind == 'K':
			c.key = body
		case kind == 'Z':
			c.status = string(body)
			return nil
		}
	}
}

func startup(further map[string]string) []byte {
	body := binary.BigEndian.AppendUint32(nil, protocol30)
	params := []string{"user", herd.User, "database", herd.Database}
	for _, name := range slices.Sorted(maps.Keys(further)) {
		params = append(params, name, further[name])
	}
	for _, p := range params {
		body = append(append(body, p...), 0)
	}
	return first(append(body, 0))
}

// first is a packet without a type, with which a connection begins.
func first(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

// greeting is what the log-in reported. It is sorted, because PostgreSQL promises no order.
func (c *talk) greeting() []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(c.reported)) {
		lines = append(lines, fmt.Sprintf("ParameterStatus %s %q", name, c.reported[name]))
	}
	return append(lines, "ReadyForQuery "+c.status)
}

// cancel sends a cancel request, and returns when the other side has closed that connection.
func (c *talk) cancel() error {
	conn, err := net.DialTimeout("tcp", c.addr, loginLimit)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(stepLimit)); err != nil {
		return err
	}
	if _, err := conn.Write(first(append(binary.BigEndian.AppendUint32(nil, cancelRequest), c.key...))); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}
