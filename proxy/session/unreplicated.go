package session

import (
	"bytes"

	"pgherd/proxy/expect"
	"pgherd/proxy/wire"
)

// A commit that waits for synchronous standbys may be told to stop waiting, by a cancel or a
// shutdown. PostgreSQL then sends a warning, and reports success, though another primary may
// not have the commit. The client gets an error in its place.

// stoppedWaiting is the name, in a NoticeResponse, of PostgreSQL's routine that waits.
var stoppedWaiting = []byte("\x00RSyncRepWaitForLSN\x00")

var notReplicated = wire.Fault{Severity: "ERROR", Code: "08007", Message: "the transaction was committed, but no synchronous standby may have it",
	Detail: "The wait for synchronous replication was ended. If the primary is lost now, so is the transaction.",
	Hint:   "Look at the data before you try it again. unreplicated_commit = warning reports such a commit as PostgreSQL does."}

// unreplicated looks for such a commit, and puts the error in the place of what reports it.
// It is true if the reply is not passed on.
func (s *relaying) unreplicated(m wire.Message) bool {
	if s.disposition != expect.Forward || s.set.UnreplicatedCommits || !m.First || !m.Last {
		return false
	}
	switch {
	case m.Kind == wire.NoticeResponse && bytes.Contains(m.Body(), stoppedWaiting):
		s.replication = commitWarned
	case s.replication == commitSure:
	case m.Kind == wire.CommandComplete && s.replication == commitWarned && s.expect.LastBeforeReady():
		s.replication = commitSure
		s.client.Write(wire.AppendError(nil, &notReplicated))
		return true
	case m.Kind == wire.CommandComplete: // more was sent behind the commit, and is done
		s.replication = commitReported
	case m.Kind == wire.ReadyForQuery:
		s.replication = commitSure
		s.client.Write(wire.AppendError(nil, &notReplicated))
	}
	return false
}

// commitDoubt is what is known of a commit while its reply arrives.
type commitDoubt uint8

const (
	commitSure     commitDoubt = iota
	commitWarned               // no standby may have it, and it is not reported yet
	commitReported             // it was reported as done: the error follows before the ReadyForQuery
)
