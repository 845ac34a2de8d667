package pool

import "testing"

func TestModesOf(t *testing.T) {
	modes := Modes{Default: Transaction, Entries: []ModeEntry{
		{"reports", "alice", Statement},
		{"reports", "", Session},
		{"", "batch", Statement},
		{"app", "batch", Session}, // never reached
	}}
	for _, row := range []struct {
		what           string
		database, user string
		want           Mode
	}{
		{"database and user", "reports", "alice", Statement},
		{"the same database, another user", "reports", "bob", Session},
		{"the database comes before the user", "reports", "batch", Session},
		{"any database", "app", "batch", Statement},
		{"neither", "app", "alice", Transaction},
		{"a name in another case is another name", "Reports", "bob", Transaction},
		{"a part of a name is not the name", "report", "batch2", Transaction},
		{"what is not known yet", "", "", Transaction},
	} {
		if got := modes.Of(row.database, row.user); got != row.want {
			t.Errorf("%s: %s/%s: %s, want %s", row.what, row.database, row.user, got, row.want)
		}
	}
}

func TestModesOfNothing(t *testing.T) {
	if got := (Modes{}).Of("app", "alice"); got != Session {
		t.Errorf("without entries: %s", got)
	}
	if got := (Modes{Default: Session, Entries: []ModeEntry{{Mode: Transaction}}}).Of("app", "alice"); got != Transaction {
		t.Errorf("an entry for all: %s", got)
	}
}
