package faults_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// These clients are only sockets. (pgconn's Hijack cannot be used, because its background reader sometimes goes on
// reading, and takes bytes that the test should read.)

// trustHBA lets these clients in.
const trustHBA = "host all postgres 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"

func dial(p *herd.Proxy) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", address(p), answerLimit)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(answerLimit))
}

// rawLogin logs in as alice, where trustHBA is in force.
func rawLogin(p *herd.Proxy) (net.Conn, error) {
	conn, _, err := rawStart(p, protocol30)
	return conn, err
}

// cancelKey is the key by which a client may cancel its query.
type cancelKey struct {
	pid uint32
	key []byte
}

func rawStart(p *herd.Proxy, version uint32) (conn net.Conn, key cancelKey, err error) {
	if conn, err = dial(p); err != nil {
		return nil, key, err
	}
	_, err = conn.Write(startup(version, "user", herd.User, "database", herd.Database))
	for err == nil {
		var kind byte
		var body []byte
		kind, body, err = readMessage(conn)
		switch {
		case err != nil:
		case kind == 'K':
			key = cancelKey{binary.BigEndian.Uint32(body), body[4:]}
		case kind == 'E':
			err = fault(body)
		case kind == 'Z':
			return conn, key, nil
		}
	}
	conn.Close()
	return nil, key, err
}

// send sends the cancel request, and waits for the end of its connection.
func (k cancelKey) send(p *herd.Proxy) error {
	conn, err := dial(p)
	if err != nil {
		return err
	}
	defer conn.Close()
	body := binary.BigEndian.AppendUint32(nil, 1234<<16|5678)
	body = append(binary.BigEndian.AppendUint32(body, k.pid), k.key...)
	if _, err := conn.Write(first(body)); err != nil {
		return err
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("a cancel request was answered by %d bytes, error %w", n, err)
	}
	return nil
}

// rawAsk sends a simple query, and reads the answer by readValue.
func rawAsk(conn net.Conn, sql string) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return "", err
	}
	if _, err := conn.Write(query(sql)); err != nil {
		return "", err
	}
	return readValue(conn)
}

const (
	protocol30 = 3 << 16
	protocol32 = 3<<16 | 2
)

// startup is a start-up packet.
func startup(version uint32, params ...string) []byte {
	body := binary.BigEndian.AppendUint32(nil, version)
	for _, p := range params {
		body = append(append(body, p...), 0)
	}
	return first(append(body, 0))
}

// first is a packet without a type, with which a connection begins.
func first(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

// message is one message of the protocol.
func message(kind byte, body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4)), body...)
}

func query(sql string) []byte { return message('Q', append([]byte(sql), 0)...) }

// readMessage reads one message, of a few MB at most.
func readMessage(from io.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:]) - 4
	if n > 16<<20 {
		return 0, nil, fmt.Errorf("message %q has a length of %d bytes", head[0], n)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(from, body)
	return head[0], body, err
}

// readValue reads up to ReadyForQuery, and returns the first value of the last row.
func readValue(from io.Reader) (value string, err error) {
	for {
		kind, body, rerr := readMessage(from)
		switch {
		case rerr != nil:
			return "", errors.Join(err, rerr)
		case kind == 'D':
			n := binary.BigEndian.Uint32(body[2:])
			value = string(body[6:][:n])
		case kind == 'E':
			err = fault(body)
		case kind == 'Z':
			return value, err
		}
	}
}

// fault is an ErrorResponse in pgconn's form.
func fault(body []byte) *pgconn.PgError {
	f := &pgconn.PgError{}
	fields := map[byte]*string{'S': &f.Severity, 'C': &f.Code, 'M': &f.Message, 'D': &f.Detail, 'H': &f.Hint}
	for len(body) > 1 {
		kind, rest := body[0], body[1:]
		end := 0
		for rest[end] != 0 {
			end++
		}
		if field := fields[kind]; field != nil {
			*field = string(rest[:end])
		}
		body = rest[end+1:]
	}
	return f
}
