package differential

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
)

const protocol32 = 3<<16 | 2

// TestProtocol32 checks that a client that asks for protocol 3.2 gets what PostgreSQL 18 gives it,
// a cancel key of more than four bytes, and can cancel by it. An older PostgreSQL negotiates down
// to 3.0; pgherd does not, whatever the nodes are.
func TestProtocol32(t *testing.T) {
	h := startHerd(t)
	node := h.Nodes()[0]
	direct := speak32(t, target{"direct", node.Host, node.Port, true})
	if version, err := h.Exec(t.Context(), "SELECT current_setting('server_version_num')::int / 10000"); err != nil {
		t.Fatal(err)
	} else if v := strings.TrimSpace(version); v < "18" {
		t.Logf("PostgreSQL %s, which is not 18, answers %q", v, direct)
		direct = spoken32
	}
	if direct != spoken32 {
		t.Errorf("without pgherd: got %s", direct)
	}
	binary, err := herd.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range proxies[1:4] {
		t.Run(p.name, func(t *testing.T) {
			running := startProxy(t, binary, h.Nodes()[:1], p.config)
			if got := speak32(t, target{p.name, running.Host, running.Port, false}); got != direct {
				t.Errorf("got %s, want as without pgherd %s", got, direct)
			}
		})
	}
}

// spoken32 is what a client receives in protocol 3.2.
const spoken32 = "a key of more than four bytes; canceled 57014"

// speak32 logs in, runs a statement that takes long, and cancels it.
func speak32(t *testing.T, to target) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", to.addr(), loginLimit)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := newTalk(conn, to, &script{})
	packet := startup(nil)
	binary.BigEndian.PutUint32(packet[4:], protocol32)
	if err := c.login(packet); err != nil {
		return err.Error()
	}
	if err := conn.SetDeadline(time.Now().Add(loginLimit)); err != nil {
		t.Fatal(err)
	}
	heard := "a key of four bytes"
	if len(c.key) > 8 {
		heard = "a key of more than four bytes"
	}
	if _, err := conn.Write(mustEncode("Query", "SELECT pg_sleep(600)")); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s; canceled %s", heard, c.canceled(t))
}

// canceled cancels the query until it has ended, and returns its error.
func (c *talk) canceled(t *testing.T) string {
	t.Helper()
	ended := make(chan string, 1)
	go func() {
		for {
			kind, body, err := c.read()
			if err != nil {
				ended <- err.Error()
				return
			}
			if kind == 'E' {
				_, code, _ := strings.Cut(string(body), "\x00C")
				ended <- code[:5]
				return
			}
		}
	}()
	for {
		if err := c.cancel(); err != nil {
			t.Fatal(err)
		}
		select {
		case how := <-ended:
			return how
		case <-time.After(100 * time.Millisecond): // the query had not begun
		}
	}
}
