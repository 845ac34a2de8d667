package ring

import "fmt"

// Feature is something of the kernel that a loop uses if it can. Without it the loop is slower, never
// different (I6).
type Feature struct {
	Name       string
	Used       bool
	Reason     string // why it is not used
	MinVersion string // the first kernel that has it
}

// MissingError says that an engine cannot be used for want of a feature.
type MissingError struct {
	Feature    string
	MinVersion string // the first kernel that has it
	Cause      error
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("use io_uring: %s (Linux %s): %v", e.Feature, e.MinVersion, e.Cause)
}

func (e *MissingError) Unwrap() error { return e.Cause }
