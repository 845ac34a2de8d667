// Package scripts runs the shell commands that an administrator has configured for a failover,
// each with a time limit, and keeps only the end of what they write.
package scripts

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// None is the number of a node that is not there, as Pgpool-II writes it.
const None = -1

// Node is a node as a command is told of it.
type Node struct {
	Index         int
	Host          string
	Port          int
	DataDirectory string
}

// Subject is what a command is about.
type Subject struct {
	Node    Node // the one that is taken out, is taken back, or is to follow
	Primary Node // from now on; in failover_command the one to promote
	Former  Node // the primary before
}

// Expand puts a subject in the place of Pgpool-II's letters. What it does not know stays.
func Expand(command string, s Subject) string {
	return strings.NewReplacer("%%", "%",
		"%d", strconv.Itoa(s.Node.Index), "%h", word(s.Node.Host), "%p", port(s.Node), "%D", word(s.Node.DataDirectory),
		"%m", strconv.Itoa(s.Primary.Index), "%H", word(s.Primary.Host), "%r", port(s.Primary), "%R", word(s.Primary.DataDirectory),
		"%M", strconv.Itoa(s.Former.Index), "%P", strconv.Itoa(s.Former.Index), "%N", word(s.Former.Host), "%S", port(s.Former)).Replace(command)
}

// word is one word for the shell, even if nothing is known.
func word(text string) string {
	if text == "" {
		return `""`
	}
	return text
}

func port(n Node) string {
	if n.Port == 0 {
		return `""`
	}
	return strconv.Itoa(n.Port)
}

// Named limits.
const (
	outputBytes = 4000        // kept of what a command writes
	pipeLimit   = time.Second // for what a command has left running to close its output
)

// Run runs a command with /bin/sh, and returns the end of its output. When the limit is over,
// or the context ends, the command is killed with all that it has begun in its process group.
func Run(ctx context.Context, command string, limit time.Duration) (output string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var end tail
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Stdout, cmd.Stderr = &end, &end
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeLimit
	err = cmd.Run()
	output = end.String()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil: // a server that it has started may go on writing
		return output, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("it was not done after %v", limit)
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	if output != "" {
		return output, fmt.Errorf("run %s: %w; its output ends:\n%s", command, err, output)
	}
	return output, fmt.Errorf("run %s: %w", command, err)
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if n > outputBytes {
		p = p[n-outputBytes:]
	}
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - outputBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return n, nil
}

func (t *tail) String() string { return strings.TrimSpace(strings.ToValidUTF8(string(t.kept), "?")) }
