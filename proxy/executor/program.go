package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// Exited is a program that has ended with a failure.
type Exited struct {
	Status int
	Output string // the end of what it has written
}

func (e *Exited) Error() string {
	text := fmt.Sprintf("it ended with status %d", e.Status)
	if e.Output != "" {
		text += "; its output ends:\n" + e.Output
	}
	return text
}

// Named limits of a program's output.
const (
	outputBytes = 4000
	statusMark  = "pgherd: exit status "
	killedLate  = 124 // the exit status of timeout(1)
)

// Run runs a program of a node's data folder on that node, as the user that PostgreSQL runs as,
// and returns the end of its output. It is killed before the context's deadline, because PostgreSQL
// would not end it when the connection is closed. It needs the rights of pg_execute_server_program.
func (e *Executor) Run(ctx context.Context, n *nodes.Node, program string, arguments ...string) (output string, err error) {
	words := []string{word("./" + program)}
	for _, a := range arguments {
		words = append(words, word(a))
	}
	deadline, limited := ctx.Deadline()
	if limited {
		seconds := max(1, int(time.Until(deadline).Seconds()))
		words = slices.Concat([]string{"timeout", "-k", "1", strconv.Itoa(seconds)}, words)
	}
	output, err = e.runShell(ctx, n, "run "+program+" on", strings.Join(words, " "))
	if failed, is := errors.AsType[*Exited](err); is && limited && failed.Status == killedLate {
		err = fmt.Errorf("run %s on node %d: it was killed, because it took too long; its output ends:\n%s", program, n.Index, output)
	}
	return output, err
}

// runShell runs a command of the shell in a node's data folder.
func (e *Executor) runShell(ctx context.Context, n *nodes.Node, what, command string) (output string, err error) {
	fail := func(err error) error { return fmt.Errorf("%s node %d: %w", what, n.Index, err) }
	conn, err := nodesql.Dial(ctx, e.access, n)
	if err != nil {
		return "", fail(err)
	}
	defer conn.Close()
	for _, sql := range []string{"CREATE TEMP TABLE pgherd_output (line text)",
		`COPY pgherd_output FROM PROGRAM ` + nodesql.Literal(captured(command)) + ` WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')`} {
		if err := conn.Do(ctx, sql); err != nil {
			return "", fail(err)
		}
	}
	rows, err := conn.Rows(ctx, "SELECT coalesce(line, '') FROM pgherd_output")
	if err != nil {
		return "", fail(err)
	}
	var lines []string
	for _, row := range rows {
		lines = append(lines, row[0])
	}
	output, status := readStatus(lines)
	if status != 0 {
		return output, fail(&Exited{status, output})
	}
	return output, nil
}

// word quotes a word for a shell.
func word(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// captured is what runs a command, tells its exit status, and keeps the end of its output, in
// letters that every encoding has.
func captured(command string) string {
	return fmt.Sprintf(`{ %s; status=$?; echo; echo "%s$status"; } </dev/null 2>&1 | tail -c %d | LC_ALL=C tr -cd '\11\12\40-\176'`,
		command, statusMark, outputBytes)
}

// readStatus reads the last line, and returns those before.
func readStatus(lines []string) (output string, status int) {
	status = -1
	if n := len(lines); n > 0 && strings.HasPrefix(lines[n-1], statusMark) {
		if s, err := strconv.Atoi(strings.TrimPrefix(lines[n-1], statusMark)); err == nil {
			status = s
		}
		lines = lines[:n-1]
	}
	return strings.TrimSpace(strings.Join(lines, "\n")), status
}

// CopyProgress is how much of a base backup the primary has sent, in percent; -1: none runs,
// or it is not known.
func (e *Executor) CopyProgress(ctx context.Context, n *nodes.Node) (percent int) {
	percent = -1
	_ = e.on(ctx, n, "ask for the progress of", revokeLimit, func(ctx context.Context, c *nodesql.Conn) error {
		rows, err := c.Rows(ctx, "SELECT backup_streamed * 100 / backup_total FROM pg_stat_progress_basebackup WHERE backup_total > 0")
		if err == nil && len(rows) > 0 {
			percent, err = strconv.Atoi(rows[0][0])
		}
		return err
	})
	return percent
}
