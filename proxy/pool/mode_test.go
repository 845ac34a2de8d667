package pool

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgherd/proxy/wire"
)

// facts are those of a Moment, in the words of testdata/release.txt.
func facts(m Moment) map[string]bool {
	return map[string]bool{
		"client gone": m.Ended, "client stays": !m.Ended, "owes": m.Owes == Replies, "uncertain": m.Owes == Uncertain,
		"idle": m.Status == wire.Idle, "in transaction": m.Status == wire.InTransaction, "failed": m.Status == wire.Failed,
		"used": m.Used, "pinned": m.Pinned, "expired": m.Expired, "single": m.Single,
	}
}

// moments are all possible ones.
func moments() (all []Moment) {
	for bits := range 1 << 5 {
		on := func(bit int) bool { return bits&(1<<bit) != 0 }
		for _, status := range []byte{wire.Idle, wire.InTransaction, wire.Failed} {
			for _, owes := range []Owing{Nothing, Replies, Uncertain} {
				all = append(all, Moment{Ended: on(0), Owes: owes, Used: on(1), Expired: on(2), Single: on(3), Pinned: on(4), Status: status})
			}
		}
	}
	return all
}

// holds says whether the facts in a line are true of the moment.
func holds(t *testing.T, line string, known map[string]bool) bool {
	for fact := range strings.SplitSeq(line, ", ") {
		name, negated := strings.CutPrefix(fact, "not ")
		is, ok := known[name]
		if !ok {
			t.Fatalf("testdata/release.txt: unknown fact %q", name)
		}
		if is == negated {
			return false
		}
	}
	return true
}

func TestReleaseTable(t *testing.T) {
	text, err := os.ReadFile("testdata/release.txt")
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]Mode{"session mode": Session, "transaction mode": Transaction, "statement mode": Statement}
	covered := map[string]int{}
	mode := Session
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		conditions, verdict, ok := strings.Cut(line, ": ")
		if !ok {
			if mode, ok = modes[line]; !ok {
				t.Fatalf("unknown mode %q", line)
			}
			continue
		}
		for _, m := range moments() {
			if holds(t, conditions, facts(m)) {
				covered[fmt.Sprint(mode, m)]++
				if got := mode.Judge(m).String(); got != verdict {
					t.Errorf("%+v: got %s, the table says %s", m, got, verdict)
				}
			}
		}
	}
	if want := len(modes) * len(moments()); len(covered) != want {
		t.Errorf("the table has %d moments, want all %d", len(covered), want)
	}
}

func TestModesOf(t *testing.T) {
	modes := Modes{Default: Transaction, Entries: []ModeEntry{
		{"reports", "alice", Statement},
		{"reports", "", Session},
		{"", "batch", Statement},
		{"app", "batch", Session}, // an earlier entry matches first
	}}
	for _, row := range []struct {
		what           string
		database, user string
		want           Mode
	}{
		{"database and user", "reports", "alice", Statement},
		{"the same database, another user", "reports", "bob", Session},
		{"the database precedes the user", "reports", "batch", Session},
		{"any database", "app", "batch", Statement},
		{"neither", "app", "alice", Transaction},
		{"a name in another case is another name", "Reports", "bob", Transaction},
		{"a part of a name is not the name", "report", "batch2", Transaction},
		{"an unknown database and user", "", "", Transaction},
	} {
		if got := modes.Of(row.database, row.user); got != row.want {
			t.Errorf("%s: %s/%s: got %s, want %s", row.what, row.database, row.user, got, row.want)
		}
	}
}

func TestModesOfNothing(t *testing.T) {
	if got := (Modes{}).Of("app", "alice"); got != Session {
		t.Errorf("without entries: got %s", got)
	}
	if got := (Modes{Default: Session, Entries: []ModeEntry{{Mode: Transaction}}}).Of("app", "alice"); got != Transaction {
		t.Errorf("an entry for all: got %s", got)
	}
}
