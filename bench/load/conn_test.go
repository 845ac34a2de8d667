package load

import (
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
)

func startTarget(t *testing.T) Target {
	t.Helper()
	h, err := herd.Start(t.Context(), herd.Settings{TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := h.Exec(t.Context(), "CREATE TABLE sink (line text); GRANT ALL ON sink TO PUBLIC"); err != nil {
		t.Fatal(err)
	}
	node := h.Nodes()[0]
	return Target{Host: node.Host, Port: node.Port, User: herd.User, Database: herd.Database}
}

func dial(t *testing.T, target Target) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// All of these share one PostgreSQL, because it takes a second to start.
func TestAgainstPostgreSQL(t *testing.T) {
	target := startTarget(t)
	t.Run("conversations", func(t *testing.T) { testConversations(t, target) })
	t.Run("errors", func(t *testing.T) { testServerErrorsAreTold(t, target) })
	t.Run("sip", func(t *testing.T) { testSipLeavesTheRest(t, target) })
}

// The same conversation over TCP, TLS and a blocking socket.
func testConversations(t *testing.T, target Target) {
	for name, shape := range map[string]struct{ tls, block bool }{"tcp": {}, "tls": {tls: true}, "blocking": {block: true}, "tls blocking": {true, true}} {
		t.Run(name, func(t *testing.T) {
			target := target
			target.TLS = shape.tls
			c := dial(t, target)
			if shape.block {
				if err := c.Block(); err != nil {
					t.Fatal(err)
				}
			}
			converse(t, c)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func converse(t *testing.T, c *Conn) {
	t.Helper()
	const rows = 3000
	n, err := c.Drain("SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
	if err != nil || n < rows*1000 || n > rows*1000+rows*11+100 {
		t.Errorf("drained %d bytes, %v", n, err)
	}
	chunk := []byte(strings.Repeat("0123456789\n", 100))
	if n, err := c.CopyIn("COPY sink FROM STDIN", chunk, 20); err != nil || n != int64(20*(len(chunk)+5)) {
		t.Errorf("copied %d bytes, %v", n, err)
	}
	if _, err := c.Drain("SELECT 1 / (count(*) - 1999) FROM sink; TRUNCATE sink"); err != nil {
		t.Errorf("there are not 2,000 lines: %v", err)
	}
	first, ages, err := c.Trickle(5, 2*time.Millisecond)
	if err != nil || len(ages) != 5 || first <= 0 {
		t.Errorf("trickled %v, %v, %v", first, ages, err)
	}
	for _, age := range ages {
		if age <= 0 || age > answerLimit {
			t.Errorf("a row is %v old", age)
		}
	}
}

func testServerErrorsAreTold(t *testing.T, target Target) {
	c := dial(t, target)
	if _, err := c.Drain("SELECT 1/0"); err == nil || !strings.Contains(err.Error(), "division by zero") {
		t.Errorf("SELECT 1/0: %v", err)
	}
	if err := c.Drop(); err != nil {
		t.Error(err)
	}
	target.Database = "nowhere"
	if _, err := Dial(t.Context(), target); err == nil || !strings.Contains(err.Error(), `database "nowhere" does not exist`) {
		t.Errorf("a log-in to nowhere: %v", err)
	}
}

func testSipLeavesTheRest(t *testing.T, target Target) {
	c := dial(t, target)
	until := time.Now().Add(50 * time.Millisecond)
	n, err := c.Sip("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)", 1000, time.Millisecond, until)
	if err != nil || n == 0 || n%1000 != 0 || time.Now().Before(until) {
		t.Errorf("sipped %d bytes, %v", n, err)
	}
	if err := c.Drop(); err != nil {
		t.Error(err)
	}
}

// The example of RFC 7677, section 3.
func TestSCRAM(t *testing.T) {
	s := scram{password: "pencil", bare: "n=user,r=rOprNGfwEbeRWgbNEkqO"}
	got, err := s.final("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
	want := "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	if err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	for _, bad := range []string{"", "r=x,s=!,i=1", "r=x,s=AAAA,i=many"} {
		if _, err := s.final(bad); err == nil {
			t.Errorf("%q was answered", bad)
		}
	}
}
