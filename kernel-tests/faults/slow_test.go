package faults_test

import (
	"bufio"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"pgherd/bench/herd"
)

const (
	// memoryBound is the memory that pgherd may add while one client does not read, or one message is huge: a few
	// buffers, and some of the heap.
	memoryBound = 64 << 20
	rowBytes    = 1024
	slowRows    = 500 << 10 // 500 MB
	slowFor     = 2 * time.Second
)

func trusting(t *testing.T, engine string) *herd.Proxy {
	t.Helper()
	return startProxy(t, herd.ProxySettings{HBA: trustHBA, Config: "io_engine = " + engine})
}

// grown runs work, and checks how much pgherd's memory rose at its peak.
func grown(t *testing.T, p *herd.Proxy, what string, work func()) {
	t.Helper()
	forgetPeak(t, p.PID())
	before := memory(t, p.PID(), "VmRSS")
	began := time.Now()
	work()
	peak := memory(t, p.PID(), "VmHWM") - before
	t.Logf("%s: pgherd grew by %s at its peak, from %s, in %v", what, megabytes(peak), megabytes(before), time.Since(began).Round(time.Millisecond))
	if peak > memoryBound {
		t.Errorf("%s: pgherd grew by %s, want %s at most", what, megabytes(peak), megabytes(memoryBound))
	}
}

// TestSlowClient has a client that asks for 500 MB and does not read. It costs little memory and slows down no other
// client. When it reads, it gets all of it.
func TestSlowClient(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := trusting(t, engine)
		l := startPaced(dsn(proxy.Port, herd.User), 4, 20*time.Millisecond, nil)
		progress(t, l, 1)
		conn := rawConn(t, proxy)
		if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		grown(t, proxy, "500 MB that nobody reads", func() {
			send(t, conn, query(fmt.Sprintf("SELECT repeat(md5(i::text), %d) FROM generate_series(1, %d) i", rowBytes/32, slowRows)))
			time.Sleep(slowFor)
			progress(t, l, 5)
			if err := wantRows(conn, slowRows); err != nil {
				t.Error(err)
			}
		})
		progress(t, l, 1)
		endLoad(t, l)
		if got, err := rawAsk(conn, "SELECT 'again'"); err != nil || got != "again" {
			t.Errorf("after the rows: got %q, error %v", got, err)
		}
		conn.Close()
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

func rawConn(t *testing.T, p *herd.Proxy) net.Conn {
	t.Helper()
	conn, err := rawLogin(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func send(t *testing.T, conn net.Conn, data []byte) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(data); err != nil {
		t.Fatal(err)
	}
}

// wantRows reads the rows that TestSlowClient asks for, and ReadyForQuery.
func wantRows(conn io.Reader, n int) error {
	in := bufio.NewReaderSize(conn, 256<<10)
	got, want := md5.New(), md5.New()
	for i := 1; ; {
		kind, body, err := readMessage(in)
		switch {
		case err != nil:
			return fmt.Errorf("row %d: %w", i, err)
		case kind == 'E':
			return fault(body)
		case kind == 'D':
			sum := md5.Sum(fmt.Append(nil, i))
			text := hex.EncodeToString(sum[:])
			for range rowBytes / 32 {
				io.WriteString(want, text)
			}
			got.Write(body[6:])
			i++
		case kind == 'Z' && (i != n+1 || string(got.Sum(nil)) != string(want.Sum(nil))):
			return fmt.Errorf("%w: got %d rows of %d, or wrong content", errWrong, i-1, n)
		case kind == 'Z':
			return nil
		}
	}
}

// hugeBytes is the size of a value that makes a single huge message.
func hugeBytes() int {
	if *large {
		return 1000 << 20 // PostgreSQL accepts less than 1 GB in one message
	}
	return 256 << 20
}

// TestHugeMessages checks that a single message of hundreds of megabytes passes in either direction, and that pgherd
// never holds it as a whole.
func TestHugeMessages(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := trusting(t, engine)
		conn := rawConn(t, proxy)
		for _, c := range []struct {
			name string
			work func(net.Conn, int) error
		}{{"Bind", hugeBind}, {"CopyData", hugeCopy}, {"DataRow", hugeRow}} {
			grown(t, proxy, fmt.Sprintf("%s of %s", c.name, megabytes(int64(hugeBytes()))), func() {
				if err := conn.SetDeadline(time.Now().Add(4 * answerLimit)); err != nil {
					t.Fatal(err)
				}
				if err := c.work(conn, hugeBytes()); err != nil {
					t.Fatalf("%s: got error %v", c.name, err)
				}
			})
		}
		if got, err := rawAsk(conn, "SELECT 'again'"); err != nil || got != "again" {
			t.Errorf("after the messages: got %q, error %v", got, err)
		}
		conn.Close()
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

// stuff writes n bytes without repetitions, and returns their hash.
func stuff(to io.Writer, n int, sum hash.Hash) error {
	block := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{1}).Read(block)
	for i := range block {
		block[i] = 'a' + block[i]&15
	}
	for n > 0 {
		part := block[:min(n, len(block))]
		copy(part, fmt.Sprintf("%020d", n)) // no two blocks are equal
		sum.Write(part)
		if _, err := to.Write(part); err != nil {
			return err
		}
		n -= len(part)
	}
	return nil
}

// announce is the header of a message, and the beginning of its body.
func announce(kind byte, begin []byte, rest int) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(begin)+rest)), begin...)
}

func wantSum(conn io.Reader, sum hash.Hash) error {
	got, err := readValue(conn)
	if want := hex.EncodeToString(sum.Sum(nil)); err == nil && got != want {
		return fmt.Errorf("%w: md5 %s, want %s", errWrong, got, want)
	}
	return err
}

// hugeBind sends one parameter of n bytes.
func hugeBind(conn net.Conn, n int) error {
	out := message('P', []byte("\x00SELECT md5($1::bytea)\x00\x00\x00")...)
	begin := []byte{0, 0, 0, 1, 0, 1, 0, 1} // unnamed portal and statement, one format, which is binary, and one value
	begin = binary.BigEndian.AppendUint32(begin, uint32(n))
	const end = "\x00\x00" // there are no result formats
	if _, err := conn.Write(append(out, announce('B', begin, n+len(end))...)); err != nil {
		return err
	}
	sum := md5.New()
	if err := stuff(conn, n, sum); err != nil {
		return err
	}
	last := append([]byte(end), message('E', 0, 0, 0, 0, 0)...)
	if _, err := conn.Write(append(last, message('S')...)); err != nil {
		return err
	}
	return wantSum(conn, sum)
}

// hugeCopy sends one CopyData, which is one row of n bytes.
func hugeCopy(conn net.Conn, n int) error {
	if _, err := rawAsk(conn, "CREATE TEMP TABLE huge (t text); ALTER TABLE huge ALTER t SET STORAGE EXTERNAL"); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(4 * answerLimit)); err != nil {
		return err
	}
	if _, err := conn.Write(append(query("COPY huge FROM STDIN"), announce('d', nil, n+1)...)); err != nil {
		return err
	}
	sum := md5.New()
	if err := stuff(conn, n, sum); err != nil {
		return err
	}
	if _, err := conn.Write(append([]byte("\n"), message('c')...)); err != nil {
		return err
	}
	if _, err := readValue(conn); err != nil {
		return err
	}
	if _, err := conn.Write(query("SELECT md5(t) FROM huge")); err != nil {
		return err
	}
	return wantSum(conn, sum)
}

// hugeRow reads one DataRow, which is the row that hugeCopy wrote.
func hugeRow(conn net.Conn, n int) error {
	if _, err := conn.Write(query("SELECT t FROM huge")); err != nil {
		return err
	}
	got, want := md5.New(), md5.New()
	if err := stuff(io.Discard, n, want); err != nil {
		return err
	}
	if kind, _, err := readMessage(conn); kind != 'T' || err != nil {
		return fmt.Errorf("got %q instead of a RowDescription, error %v", kind, err)
	}
	var head [5 + 2 + 4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	if announced := binary.BigEndian.Uint32(head[7:]); head[0] != 'D' || int(announced) != n {
		return fmt.Errorf("%w: got message %q with a value of %d bytes", errWrong, head[0], announced)
	}
	if _, err := io.CopyN(got, conn, int64(n)); err != nil {
		return err
	}
	if string(got.Sum(nil)) != string(want.Sum(nil)) {
		return fmt.Errorf("%w: the content of %d bytes differs", errWrong, n)
	}
	_, err := readValue(conn)
	return err
}

// TestClientVanishesWithinHugeMessage checks that a client that vanishes in the middle of a huge message disturbs no
// other one.
func TestClientVanishesWithinHugeMessage(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := trusting(t, engine)
		l := startPaced(dsn(proxy.Port, herd.User), 4, 20*time.Millisecond, nil)
		for i := range 6 {
			conn := rawConn(t, proxy)
			send(t, conn, query(fmt.Sprintf("SELECT repeat('x', %d)", 64<<20)))
			if _, err := io.CopyN(io.Discard, conn, int64(i)<<20); err != nil {
				t.Fatal(err)
			}
			vanish(conn, i%2 == 0)
			conn = rawConn(t, proxy)
			send(t, conn, announce('Q', nil, 64<<20))
			if err := stuff(conn, i<<20, md5.New()); err != nil {
				t.Fatal(err)
			}
			vanish(conn, i%2 == 1)
		}
		progress(t, l, 3)
		endLoad(t, l)
		allIdle(t, proxy)
		settled(t, proxy)
	})
}

// vanish closes the connection without a Terminate, by a RST or by a FIN.
func vanish(conn net.Conn, reset bool) {
	if reset {
		_ = conn.(*net.TCPConn).SetLinger(0)
	}
	conn.Close()
}
