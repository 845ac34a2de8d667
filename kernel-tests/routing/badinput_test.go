package routing_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"pgherd/bench/herd"
)

const (
	large  = 10 << 20 // size of a statement in bytes
	levels = 10_000   // levels of nesting
	// mostMemory is the memory in KB that pgherd may use for them, which is a few copies.
	mostMemory = 128 << 10
)

// badInput are statements that no client should send, and that pgherd cannot analyze, or does not. Some of them are
// correct by PostgreSQL 15's grammar.
var badInput = []struct{ name, sql string }{
	{"a large literal", "SELECT length('" + strings.Repeat("x", large) + "')"},
	{"a large comment", "SELECT 1 /*" + strings.Repeat("x", large) + "*/"},
	{"a large string of tokens", "SELECT 1 IN (" + strings.Repeat("1,", large/64) + "1)"},
	{"large nonsense", strings.Repeat("nonsense ", large/9)},
	{"nothing but quotes", strings.Repeat("'", large+1)},
	{"many statements", strings.Repeat(";", large/4)},
	{"nested brackets", "SELECT " + strings.Repeat("(", levels) + "1" + strings.Repeat(")", levels)},
	{"nested brackets without an end", "SELECT " + strings.Repeat("(", levels)},
	{"nested subscripts", "SELECT a" + strings.Repeat("[a", levels) + strings.Repeat("]", levels)},
	{"nested SELECTs", strings.Repeat("SELECT * FROM (", levels) + "SELECT 1" + strings.Repeat(") s", levels)},
	{"nested NOTs", "SELECT " + strings.Repeat("NOT ", levels) + "true"},
	{"nested sums", "SELECT 1" + strings.Repeat(" + 1", levels)},
	{"nested casts", "SELECT 1" + strings.Repeat("::int", levels)},
	{"nested joins", "SELECT 1 FROM item" + strings.Repeat(" CROSS JOIN item", levels)},
	{"nested UNIONs", "SELECT 1" + strings.Repeat(" UNION SELECT 1", levels)},
	{"nested CASEs", "SELECT " + strings.Repeat("CASE WHEN true THEN ", levels) + "1" + strings.Repeat(" END", levels)},
	{"nested comments", "UPDATE nowhere SET a = 1 " + strings.Repeat("/*", levels/5) + strings.Repeat("*/", levels/5)}, // PostgreSQL's time grows with their square,
	{"nested comments without an end", "SELECT 1 " + strings.Repeat("/*", levels/5)},
	{"bytes that are no UTF-8", "SELECT '\xff\xfe' FROM item"},
	{"half a character", "SELECT 'caf\xc3'"},
	{"half a character before a quote", "SELECT '\xe2\x82'; DELETE FROM nowhere --'"},
	{"a name that is no UTF-8", "SELECT * FROM \"\xc0\xaf\""},
	{"a surrogate", "SELECT U&'\\D800'"},
	{"a quote without an end", "SELECT 'a"},
	{"a name without an end", `SELECT "a`},
	{"E'' without an end", `SELECT E'a\'`},
	{"a dollar quote without an end", "SELECT $tag$a$tag"},
	{"a comment without an end", "SELECT 1 /* a /* b */"},
	{"U&'' with a bad escape", `SELECT U&'a' UESCAPE 'bc'`},
	{"a name of no length", `SELECT ""`},
	{"a number with junk", "SELECT 1a, 0x1G, 1e"},
	{"parameters that cannot be", "SELECT $0 FROM nowhere WHERE a = $99999999999"},
	{"an operator that is too long", "SELECT 1 " + strings.Repeat("+*", 100) + " 1"},
	{"only the server's grammar has it: a name that 16 reserves", "SELECT system_user FROM (SELECT 1 AS a) AS system_user (system_user)"},
	{"neither grammar has it: JSON_TABLE of 17", "SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a int PATH '$')) t"},
	{"neither grammar has it: MERGE of 17", "MERGE INTO item USING item i ON false WHEN NOT MATCHED BY SOURCE THEN DELETE RETURNING *"},
	{"no statement at all", "SELEC 1"},
	{"nothing", ""},
}

// TestBadInput checks that a statement that cannot be analyzed is answered as by the primary, within the deadline of an
// answer and with bounded memory. No standby gets it, and the session goes on.
func TestBadInput(t *testing.T) {
	engines(t, func(t *testing.T, config string) {
		h := &hunt{t: t, proxy: startProxy(t, balanced+config), direct: net.JoinHostPort("127.0.0.1", strconv.Itoa(world.herd.Nodes()[0].Port))}
		h.ready()
		from := [2]int{logged(t, 1), logged(t, 2)}
		for _, c := range badInput {
			for form, messages := range forms(c.sql) {
				messages = append(messages, &pgproto3.Query{String: "SELECT 'it goes on' FROM item WHERE false"})
				got, want := h.once(h.proxy.Addr(), herd.Database, messages), h.once(h.direct, twins, messages)
				if !slices.Equal(got, want) {
					t.Errorf("%s, %s\n got %.300q\nwant %.300q", c.name, form, got, want)
				}
			}
		}
		for i := range from {
			opened, asked := 0, 0 // each opened server is asked a question, which takes two lines
			for _, sql := range statementsIn(t, i+1, from[i]) {
				switch {
				case strings.HasPrefix(sql, "SELECT pg_catalog.current_setting('idle_session_timeout', true)"):
					opened++
				case sql == "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;":
					asked++
				case !strings.HasPrefix(sql, "SELECT 'it goes on'"):
					t.Errorf("a standby ran %.100s", sql)
				}
			}
			if asked > opened {
				t.Errorf("a standby was asked %d questions, but %d servers were opened", asked, opened)
			}
		}
		if peak := peakMemory(t, h.proxy.PID()); peak > mostMemory {
			t.Errorf("pgherd used %d KB at its peak, about 35,000 of them before", peak)
		}
	})
}

// peakMemory is the largest resident memory of a process, in KB.
func peakMemory(t *testing.T, pid int) (kb int) {
	t.Helper()
	status, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &kb); err == nil {
			return kb
		}
	}
	t.Fatal("VmHWM is missing")
	return 0
}
