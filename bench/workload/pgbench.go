package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pgherd/bench/herd"
	"pgherd/bench/measure"
)

const (
	firstLimit = 30 * time.Second // from pgbench's start to its first transactions
	firstEvery = 5 * time.Millisecond
	// pgbench counts its log-ins as part of its time, and must end after the
	// measurement has stopped.
	spareTime = 400 * time.Millisecond
	loginTime = 25 * time.Millisecond // on a busy machine

	threads = 2 // of pgbench; with one client, one
)

// pgbench runs PostgreSQL's own load driver. The measurement begins when its log shows
// the first transactions, so that log-ins are over, and ends before pgbench does.
func pgbench(args string, clients int) func(context.Context, *Stage) (Sample, error) {
	return func(ctx context.Context, s *Stage) (Sample, error) {
		seen, err := runPgbench(ctx, s, args, clients, s.Window)
		if err != nil {
			return nil, err
		}
		return small(seen.cost, seen.memory, latencies(seen.log))
	}
}

// drifting runs for long, and compares the last quarter with the first.
func drifting(args string, clients, windows int) func(context.Context, *Stage) (Sample, error) {
	return func(ctx context.Context, s *Stage) (Sample, error) {
		window := s.Window * time.Duration(windows)
		if s.Quick {
			window = s.Window
		}
		seen, err := runPgbench(ctx, s, args, clients, window)
		if err != nil {
			return nil, err
		}
		sample, err := small(seen.cost, seen.memory, latencies(seen.log))
		if err == nil {
			sample[Drift], err = drift(seen.log, seen.begin, seen.end)
		}
		return sample, err
	}
}

// seen is what one run of pgbench has shown: transactions that ended between begin and end.
type seen struct {
	begin, end time.Time
	log        []transaction
	cost       measure.Cost
	memory     int64
}

func runPgbench(ctx context.Context, s *Stage, args string, clients int, window time.Duration) (found seen, err error) {
	dir, err := os.MkdirTemp(s.Dir, "pgbench-")
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	words, err := pgbenchArgs(s, dir, args, clients, window)
	if err != nil {
		return found, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := herd.Run(ctx, s.Pgbench, words...)
		ended <- err
	}()
	if !slices.Contains(words, "-C") { // with it, log-ins are never over
		if err := waitFirst(dir, ended); err != nil {
			return found, err
		}
	}
	found.cost, found.begin, found.end, found.memory, err = s.meter(func() error {
		select {
		case <-time.After(window):
			return nil
		case err := <-ended: // its log-ins took all of its spare time
			ended <- err
			return err
		}
	})
	if err = errors.Join(err, <-ended); err != nil {
		return found, err
	}
	found.log, err = readLogs(dir, found.begin, found.end)
	return found, err
}

func pgbenchArgs(s *Stage, dir, args string, clients int, window time.Duration) ([]string, error) {
	words := strings.Fields(args)
	for i, word := range words {
		if script, ok := scripts[word]; ok {
			words[i] = filepath.Join(dir, "script.sql")
			if err := os.WriteFile(words[i], []byte(script), 0o600); err != nil {
				return nil, err
			}
		}
	}
	spare := spareTime + time.Duration(clients)*loginTime
	return append(words, "-n", "-c", fmt.Sprint(clients), "-j", fmt.Sprint(min(clients, threads)),
		"-T", fmt.Sprint(int((window+spare+time.Second-1)/time.Second)),
		"-l", "--log-prefix="+filepath.Join(dir, "log"), s.Target.DSN()), nil
}

// waitFirst returns when pgbench has begun to write its log.
func waitFirst(dir string, ended chan error) error {
	deadline := time.Now().Add(firstLimit)
	for time.Now().Before(deadline) {
		select {
		case err := <-ended:
			return errors.Join(errors.New("wait for pgbench: it ended early"), err)
		case <-time.After(firstEvery):
		}
		logs, err := filepath.Glob(filepath.Join(dir, "log.*"))
		if err != nil {
			return err
		}
		for _, log := range logs {
			if info, err := os.Stat(log); err == nil && info.Size() > 0 {
				return nil
			}
		}
	}
	return fmt.Errorf("wait for pgbench: no transaction within %v", firstLimit)
}
