package session

import (
	"slices"
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// noReplication is PostgreSQL's warning for a commit that no standby may have.
var noReplication = func() []byte {
	body := []byte("SWARNING\x00VWARNING\x00C01000\x00Mcanceling wait for synchronous replication due to user request\x00RSyncRepWaitForLSN\x00\x00")
	return append([]byte{'N', 0, 0, 0, byte(len(body) + 4)}, body...)
}()

// TestUnreplicatedCommit checks that a commit is not reported as done that no synchronous
// standby may have, in either protocol, and that what was sent behind it gets its replies.
func TestUnreplicatedCommit(t *testing.T) {
	const notice, refused = "NoticeResponse WARNING 01000", "ErrorResponse ERROR 08007"
	bound := slices.Concat(wire.AppendParseComplete(nil), wire.AppendBindComplete(nil))
	write := func(sql string) []byte { return slices.Concat(parse(sql), execute) }
	for name, c := range map[string]struct {
		asks, says []byte
		hears      []string
	}{
		"a statement": {simple("INSERT INTO t VALUES (1)"), slices.Concat(noReplication, done("INSERT 0 1")),
			[]string{notice, refused, "ReadyForQuery I"}},
		"of the extended protocol, at its Sync": {slices.Concat(write("INSERT INTO t VALUES (1)"), syncs),
			slices.Concat(bound, complete("INSERT 0 1"), noReplication, ready),
			[]string{"ParseComplete", "BindComplete", "CommandComplete INSERT 0 1", notice, refused, "ReadyForQuery I"}},
		"a COMMIT of the extended protocol": {slices.Concat(write("COMMIT"), syncs), slices.Concat(bound, noReplication, complete("COMMIT"), ready),
			[]string{"ParseComplete", "BindComplete", notice, refused, "ReadyForQuery I"}},
		"with another statement after it": {slices.Concat(write("COMMIT"), write("SELECT 1"), syncs),
			slices.Concat(bound, noReplication, complete("COMMIT"), bound, complete("SELECT 1"), ready),
			[]string{"ParseComplete", "BindComplete", notice, "CommandComplete COMMIT", "ParseComplete", "BindComplete", "CommandComplete SELECT 1", refused, "ReadyForQuery I"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := sharingWorld(t, 1)
			w.set.Modes.Default = pool.Session
			w.greeted(w.sends(c.asks))
			at := slices.Index(c.says, 'N') + 20 // the warning may arrive in two pieces
			w.then(s[0].says(c.says[:at]), s[0].says(c.says[at:]))
			w.then(w.hears(c.hears...), w.sends(simple("SELECT 1")))
			w.then(s[0].says(selected))
			w.then(w.hears(selectedText...), w.sends(terminate))
			w.run()
		})
	}
}

// TestUnreplicatedCommitAsPostgreSQL checks that unreplicated_commit = warning leaves it as it is.
func TestUnreplicatedCommitAsPostgreSQL(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.set.UnreplicatedCommits = true
	w.greeted(w.sends(simple("INSERT INTO t VALUES (1)")))
	w.then(s[0].says(noReplication, done("INSERT 0 1")))
	w.then(w.hears("NoticeResponse WARNING 01000", "CommandComplete INSERT 0 1", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}

// TestNoticeInPieces checks that a notice is judged once it is there as a whole, however it comes.
func TestNoticeInPieces(t *testing.T) {
	w, s := sharingWorld(t, 1)
	w.set.Modes.Default = pool.Session
	w.greeted(w.sends(simple("INSERT INTO t VALUES (1)")))
	for _, b := range noReplication {
		w.then(s[0].says([]byte{b}))
	}
	w.then(s[0].says(done("INSERT 0 1")))
	w.then(w.hears("NoticeResponse WARNING 01000", "ErrorResponse ERROR 08007", "ReadyForQuery I"), w.sends(terminate))
	w.run()
}
