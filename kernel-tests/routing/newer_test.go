package routing_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgherd/bench/herd"
)

// TestNewerSyntax checks that a statement with newer syntax than pgherd's grammar goes to the primary. A PostgreSQL that
// does not have the syntax, either, answers with its error. One that has it runs the statement, and what that leaves is
// found in its session and in no other.
func TestNewerSyntax(t *testing.T) {
	sessions, home := newer(t)
	version, err := strconv.Atoi(strings.TrimSpace(on(t, 0, "SHOW server_version_num")))
	if err != nil {
		t.Fatal(err)
	}
	engines(t, func(t *testing.T, config string) {
		h, away := balancedHunt(t, config)
		for _, form := range []string{"simple", "extended"} {
			for _, session := range sessions {
				h.newer(session, form, version/10_000)
			}
		}
		for _, sql := range away() {
			if slices.Contains(home, sql) {
				t.Errorf("a standby ran: %s", sql)
			}
		}
	})
}

// newer reads testdata/newer.txt: the lines of its sessions, and the statements that no standby may get.
func newer(t *testing.T) (sessions [][]string, home []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/newer.txt")
	if err != nil {
		t.Fatal(err)
	}
	for paragraph := range strings.SplitSeq(string(text), "\n\n") {
		var lines []string
		for line := range strings.Lines(paragraph) {
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			lines = append(lines, line)
			if since, sql, _ := strings.Cut(line, " "); since != "any" {
				home = append(home, sql)
			}
		}
		if lines != nil {
			sessions = append(sessions, lines)
		}
	}
	return sessions, home
}

// newer runs a session through pgherd and without it, whose answers must be equal. Statements that this PostgreSQL has,
// according to the file, must succeed.
func (h *hunt) newer(lines []string, form string, version int) {
	h.t.Helper()
	through, direct := h.open(h.proxy.Addr(), herd.Database), h.open(h.direct, twins)
	defer through.leave()
	defer direct.leave()
	for _, line := range lines {
		since, sql, _ := strings.Cut(line, " ")
		st := step{send: forms(sql)[form]}
		want, got := append(direct.say(st), direct.parameters()...), append(through.say(st), through.parameters()...)
		if !slices.Equal(got, want) {
			h.t.Errorf("%s, %s\n got %s\nwant %s", sql, form, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
		if n, err := strconv.Atoi(since); err == nil && n <= version && slices.ContainsFunc(want, func(line string) bool { return strings.HasPrefix(line, "ERROR") }) {
			h.t.Errorf("%s: PostgreSQL %d should have this, but answers: %s", sql, version, want[0])
		}
	}
}

func (h *hunt) open(address, database string) *talk {
	h.t.Helper()
	c, err := open(address, database)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}
