package connect

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"pgherd/proxy/wire"
)

// openError says why a node could not be used: what the client is told, and what the
// log needs.
type openError struct {
	fault wire.Fault
	cause error
}

func (e *openError) Error() string { return fmt.Sprintf("%s: %v", e.fault.Message, e.cause) }

func (e *openError) Unwrap() []error { return []error{&e.fault, e.cause} }

// openFailure returns a fault as it is, and makes one of any other error.
func openFailure(name string, err error) error {
	if _, is := errors.AsType[*wire.Fault](err); is {
		return err
	}
	return &openError{fault: broke(name), cause: err}
}

// unreachable says that no connection was made.
func unreachable(name string, cause error) *openError {
	f := wire.Fault{Severity: "FATAL", Code: "08001", Message: "cannot connect to " + name,
		Hint: "Check that PostgreSQL runs there and that pgherd may reach it."}
	if errno, ok := errors.AsType[syscall.Errno](cause); ok {
		f.Detail = errno.Error()
	} else if errors.Is(cause, context.DeadlineExceeded) {
		f.Detail = "It took too long."
	}
	return &openError{fault: f, cause: cause}
}

// broke says that a connection ended while it was being set up.
func broke(name string) wire.Fault {
	return wire.Fault{Severity: "FATAL", Code: "08006", Message: "connection to " + name + " broke while logging in",
		Hint: "The log of PostgreSQL there may say why."}
}
