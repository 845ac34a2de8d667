package workload

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// transaction is a line of pgbench's log: when it ended, and how long it took.
type transaction struct {
	end  time.Time
	took time.Duration
}

// readLogs reads the logs of all threads, of transactions that ended between begin and end.
func readLogs(dir string, begin, end time.Time) ([]transaction, error) {
	logs, err := filepath.Glob(filepath.Join(dir, "log.*"))
	if err != nil {
		return nil, err
	}
	var found []transaction
	for _, log := range logs {
		if found, err = readLog(log, begin, end, found); err != nil {
			return nil, fmt.Errorf("read pgbench's log: %w", err)
		}
	}
	return found, nil
}

func readLog(path string, begin, end time.Time, found []transaction) ([]transaction, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		t, err := parseTransaction(lines.Text())
		if err != nil {
			return nil, err
		}
		if !t.end.Before(begin) && t.end.Before(end) {
			found = append(found, t)
		}
	}
	return found, lines.Err()
}

// parseTransaction reads: client transaction microseconds script epoch microseconds ...
func parseTransaction(line string) (transaction, error) {
	fields := strings.Fields(line)
	if len(fields) < 6 {
		return transaction{}, fmt.Errorf("%d fields in %q", len(fields), line)
	}
	var numbers [3]int64
	for i, field := range []string{fields[2], fields[4], fields[5]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return transaction{}, fmt.Errorf("read %q: %w", line, err) // a failed transaction says so here
		}
		numbers[i] = n
	}
	return transaction{
		end:  time.Unix(numbers[1], numbers[2]*int64(time.Microsecond)),
		took: time.Duration(numbers[0]) * time.Microsecond,
	}, nil
}

func latencies(log []transaction) []time.Duration {
	all := make([]time.Duration, len(log))
	for i, t := range log {
		all[i] = t.took
	}
	return all
}

// drift is the number of transactions of the last quarter by that of the first.
func drift(log []transaction, begin, end time.Time) (float64, error) {
	quarter := end.Sub(begin) / 4
	var first, last int
	for _, t := range log {
		if t.end.Before(begin.Add(quarter)) {
			first++
		}
		if t.end.After(end.Add(-quarter)) {
			last++
		}
	}
	if first == 0 {
		return 0, errors.New("measure drift: no transaction in the first quarter")
	}
	return float64(last) / float64(first), nil
}
