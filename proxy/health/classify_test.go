package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
)

// TestClassify checks which verdict each outcome of a probe has.
func TestClassify(t *testing.T) {
	told := func(code, message string) error {
		return fmt.Errorf("connect to node 1: %w", &pgconn.PgError{Severity: "FATAL", Code: code, Message: message, Routine: "ProcessInterrupts"})
	}
	socket := func(err syscall.Errno) error {
		return fmt.Errorf("connect to node 1: %w", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)})
	}
	for _, c := range []struct {
		name string
		f    Finding
		err  error
		want failover.Verdict
	}{
		{"a primary answers", Finding{Role: nodes.Primary}, nil, failover.IsPrimary},
		{"a standby answers", Finding{Role: nodes.Standby}, nil, failover.IsStandby},
		{"no process listens", Finding{}, socket(syscall.ECONNREFUSED), failover.Refused},
		{"no Unix socket", Finding{}, socket(syscall.ENOENT), failover.Refused},
		{"no answer", Finding{}, fmt.Errorf("connect: %w", context.DeadlineExceeded), failover.Silent},
		{"no route to the host", Finding{}, socket(syscall.EHOSTUNREACH), failover.Silent},
		{"no such name", Finding{}, fmt.Errorf("connect: %w", &net.DNSError{Name: "db1", IsNotFound: true}), failover.Unresolved},
		{"the name server does not answer", Finding{}, fmt.Errorf("connect: %w", &net.DNSError{Name: "db1", IsTimeout: true}), failover.Unresolved},
		{"the node starts", Finding{}, told("57P03", "the database system is starting up"), failover.Starting},
		{"the node recovers from a crash", Finding{}, told("57P03", "the database system is in recovery mode"), failover.Starting},
		{"a server process crashed", Finding{}, told("57P02", "terminating connection because of crash of another server process"), failover.Starting},
		{"the node shuts down", Finding{}, told("57P03", "the database system is shutting down"), failover.ShuttingDown},
		{"a shutdown, which ends connections", Finding{}, told("57P01", "terminating connection due to administrator command"), failover.ShuttingDown},
		{"a shutdown has ended connections, and the node is down", Finding{}, errors.Join(socket(syscall.ECONNREFUSED), told("57P01", "terminating connection due to administrator command")), failover.Refused},
		{"too many clients", Finding{}, told("53300", "sorry, too many clients already"), failover.Full},
		{"out of memory", Finding{}, told("53200", "out of memory"), failover.Full},
		{"disk full", Finding{}, told("53100", "could not extend file"), failover.Full},
		{"a wrong password", Finding{}, told("28P01", "password authentication failed"), failover.WrongPassword},
		{"no line in pg_hba.conf", Finding{}, told("28000", "no pg_hba.conf entry"), failover.WrongPassword},
		{"no such database", Finding{}, told("3D000", `database "x" does not exist`), failover.Failing},
		{"the connection is reset", Finding{}, socket(syscall.ECONNRESET), failover.Failing},
		{"an unknown error", Finding{}, errors.New("unexpected EOF"), failover.Failing},
	} {
		if got := classify(&c.f, c.err); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
