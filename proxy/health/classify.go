package health

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"

	"pgherd/proxy/failover"
	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// classify tells what the outcome of a probe says of its node. That there is nobody, or no
// answer, may be death; an error that PostgreSQL tells is none.
func classify(f *Finding, err error) failover.Verdict {
	code := nodesql.Code(err)
	if _, dialing := errors.AsType[*net.OpError](err); dialing && code == "57P01" {
		return classifyNetwork(err) // it ended the connection before, and now nobody is there
	}
	switch {
	case err == nil && f.Role == nodes.Primary:
		return failover.IsPrimary
	case err == nil:
		return failover.IsStandby
	case code == "57P03" && strings.Contains(err.Error(), "shutting down"), nodesql.ToldToEnd(err):
		return failover.ShuttingDown
	case code == "57P03", code == "57P02": // 57P02: a backend has crashed, and all are ended
		return failover.Starting
	case strings.HasPrefix(code, "53"):
		return failover.Full
	case strings.HasPrefix(code, "28"):
		return failover.WrongPassword
	case code != "":
		return failover.Failing
	}
	return classifyNetwork(err)
}

func classifyNetwork(err error) failover.Verdict {
	if _, named := errors.AsType[*net.DNSError](err); named {
		return failover.Unresolved
	}
	for _, e := range []error{syscall.ECONNREFUSED, syscall.ENOENT} { // ENOENT: of a Unix socket
		if errors.Is(err, e) {
			return failover.Refused
		}
	}
	for _, e := range []error{context.DeadlineExceeded, syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN} {
		if errors.Is(err, e) {
			return failover.Silent
		}
	}
	return failover.Failing
}
