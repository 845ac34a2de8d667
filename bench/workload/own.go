package workload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"pgherd/bench/load"
)

const (
	copyChunk    = 64 << 10 // of COPY IN, per message
	copyLine     = 100      // bytes, with its end
	trickleGap   = 10 * time.Millisecond
	loginsAtOnce = 16
)

// results asks for answers of about this size, over and over.
func results(kilobytes, clients int) func(context.Context, *Stage) (Sample, error) {
	sql := fmt.Sprintf("SELECT repeat('x', 89) FROM generate_series(1, %d)", kilobytes*10) // 100 bytes a row
	return func(ctx context.Context, s *Stage) (Sample, error) {
		conns, err := dialMany(ctx, s.Target, clients)
		if err != nil {
			return nil, err
		}
		defer closeAll(conns)
		for _, c := range conns {
			c.Widen()
		}
		all := make([][]time.Duration, clients)
		cost, _, _, memory, err := s.meter(func() error {
			deadline := time.Now().Add(s.Window)
			return each(clients, func(i int) error {
				for time.Now().Before(deadline) {
					begin := time.Now()
					if _, err := conns[i].Drain(sql); err != nil {
						return err
					}
					all[i] = append(all[i], time.Since(begin))
				}
				return nil
			})
		})
		if err != nil {
			return nil, err
		}
		var flat []time.Duration
		for _, some := range all {
			flat = append(flat, some...)
		}
		return small(cost, memory, flat)
	}
}

// volume is how many bytes a round of a bulk workload moves at least.
func (s *Stage) volume(megabytes int64) int64 {
	if s.Quick {
		return 1 // once is enough
	}
	return megabytes * 1e6
}

// drained runs sql until so many megabytes have come.
func drained(sql string, megabytes int64) func(context.Context, *Stage) (Sample, error) {
	return one(func(s *Stage, c *load.Conn) (total int64, err error) {
		for total < s.volume(megabytes) {
			n, err := c.Drain(sql)
			total += n
			if err != nil {
				return total, err
			}
		}
		return total, nil
	})
}

// copiedIn sends so many megabytes of lines, which PostgreSQL reads and forgets.
func copiedIn(megabytes int64) func(context.Context, *Stage) (Sample, error) {
	chunk := []byte(strings.Repeat(strings.Repeat("x", copyLine-1)+"\n", copyChunk/copyLine))
	return one(func(s *Stage, c *load.Conn) (int64, error) {
		return c.CopyIn("COPY sink FROM STDIN WHERE line = ''", chunk, max(16, int(s.volume(megabytes))/len(chunk)))
	})
}

// one measures what a single client does, on a socket that blocks.
func one(move func(*Stage, *load.Conn) (int64, error)) func(context.Context, *Stage) (Sample, error) {
	return func(ctx context.Context, s *Stage) (Sample, error) {
		conn, err := load.Dial(ctx, s.Target)
		if err != nil {
			return nil, err
		}
		if err := conn.Block(); err != nil {
			return nil, errors.Join(err, conn.Drop())
		}
		var bytes int64
		cost, _, _, memory, err := s.meter(func() error {
			bytes, err = move(s, conn)
			return err
		})
		if err != nil {
			return nil, errors.Join(err, conn.Drop())
		}
		return bulk(cost, memory, bytes), conn.Close()
	}
}

// trickled asks several times for rows that come one by one.
func trickled(asks, rows int) func(context.Context, *Stage) (Sample, error) {
	return func(ctx context.Context, s *Stage) (Sample, error) {
		asks := asks
		if s.Quick {
			asks = 1
		}
		conn, err := load.Dial(ctx, s.Target)
		if err != nil {
			return nil, err
		}
		var firsts, ages []time.Duration
		cost, _, _, memory, err := s.meter(func() error {
			for range asks {
				first, some, err := conn.Trickle(rows, trickleGap)
				if err != nil {
					return err
				}
				firsts, ages = append(firsts, first-trickleGap), append(ages, some...)
			}
			return nil
		})
		if err == nil && len(ages) != asks*rows {
			err = fmt.Errorf("read trickle: %d rows, not %d", len(ages), asks*rows)
		}
		if err != nil {
			return nil, errors.Join(err, conn.Drop())
		}
		sample := shared(cost, memory)
		sorted := sort(ages)
		sample[First] = millis(at(sort(firsts), 0.5))
		sample[RowP50], sample[RowP99] = millis(at(sorted, 0.5)), millis(at(sorted, 0.99))
		return sample, conn.Close()
	}
}

// each runs work for 0 to n-1 at the same time.
func each(n int, work func(i int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = work(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func dialMany(ctx context.Context, target load.Target, count int) ([]*load.Conn, error) {
	conns := make([]*load.Conn, count)
	err := each(min(count, loginsAtOnce), func(first int) error {
		for i := first; i < count; i += loginsAtOnce {
			conn, err := load.Dial(ctx, target)
			if err != nil {
				return err
			}
			conns[i] = conn
		}
		return nil
	})
	if err != nil {
		closeAll(conns)
		return nil, err
	}
	return conns, nil
}

// closeAll closes the connections that are open; nobody needs to know of a goodbye that
// fails.
func closeAll(conns []*load.Conn) {
	for _, c := range conns {
		if c != nil {
			_ = c.Close()
		}
	}
}
