package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

const (
	refresh  = time.Second
	askLimit = 5 * time.Second // for pgherd to show its nodes
)

// columns are what the table shows of SHOW POOL_NODES.
var columns = []string{"node_id", "hostname", "port", "status", "role", "lb_weight", "select_cnt", "replication_delay", "last_status_change"}

// watch shows the nodes until ctx ends. On a terminal the table is redrawn
// in place; elsewhere it is written again when it has changed.
func watch(ctx context.Context, out io.Writer, proxy *herd.Proxy) error {
	screen := &screen{out: out, terminal: isTerminal(out)}
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		table, err := nodesTable(ctx, proxy)
		switch {
		case ctx.Err() != nil:
			fmt.Fprintln(out, "\nstopping ...")
			return nil
		case err != nil:
			table = "  pgherd does not show its nodes: " + err.Error() + "\n"
		}
		screen.show(table)
		select {
		case <-ctx.Done():
		case <-proxy.Done():
			return errors.New("pgherd ended by itself; it said:\n" + readTail(proxy.Log()))
		case <-tick.C:
		}
	}
}

func nodesTable(ctx context.Context, proxy *herd.Proxy) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	result, err := askNodes(ctx, proxy)
	if err != nil {
		return "", err
	}
	return formatNodes(result), nil
}

// askNodes asks pgherd over a connection of its own, as any client would.
func askNodes(ctx context.Context, proxy *herd.Proxy) (*pgconn.Result, error) {
	conn, err := connect(ctx, proxy)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, "SHOW POOL_NODES").ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("SHOW POOL_NODES: %d results", len(results))
	}
	return results[0], nil
}

// columnsOf are where the columns of a result are, by their names.
func columnsOf(result *pgconn.Result) map[string]int {
	at := map[string]int{}
	for i, field := range result.FieldDescriptions {
		at[field.Name] = i
	}
	return at
}

func formatNodes(result *pgconn.Result) string {
	at := columnsOf(result)
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  "+strings.Join(columns, "\t"))
	for _, row := range result.Rows {
		var cells []string
		for _, name := range columns {
			cell := "?"
			if i, ok := at[name]; ok {
				cell = string(row[i])
			}
			cells = append(cells, cell)
		}
		fmt.Fprintln(table, "  "+strings.Join(cells, "\t"))
	}
	_ = table.Flush() // into memory
	return text.String()
}

// screen remembers what it showed last.
type screen struct {
	out      io.Writer
	terminal bool
	last     string
}

func (s *screen) show(table string) {
	switch {
	case s.terminal && s.last != "":
		// Up to where the last table began, and clear from there.
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J%s", strings.Count(s.last, "\n"), table)
	case s.terminal || table != s.last:
		fmt.Fprint(s.out, table)
	}
	s.last = table
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func readTail(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-2000):])
}
