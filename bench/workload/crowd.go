package workload

import (
	"context"
	"time"

	"pgherd/bench/load"
	"pgherd/bench/measure"
)

const (
	quickCrowd = 50                    // clients instead of thousands
	crowdPause = 5 * time.Millisecond  // between two questions from the whole crowd
	sipSize    = 64 << 10              // of the slow reader
	sipPause   = 10 * time.Millisecond // so it takes about 6 MB/s
	settle     = 2 * time.Second       // before memory is read
)

func (s *Stage) crowd(full int) int {
	if s.Quick {
		return min(full, quickCrowd)
	}
	return full
}

// crowded opens idle clients that stay for all rounds.
func crowded(clients int) func(context.Context, *Stage) error {
	return func(ctx context.Context, s *Stage) error {
		conns, err := dialMany(ctx, s.Target, s.crowd(clients))
		if err != nil {
			return err
		}
		s.idle = conns
		s.closers = append(s.closers, func() error { closeAll(conns); return nil })
		return nil
	}
}

// among runs a workload while each of the idle clients asks something now and then.
func among(run func(context.Context, *Stage) (Sample, error)) func(context.Context, *Stage) (Sample, error) {
	return func(ctx context.Context, s *Stage) (Sample, error) {
		stop, asked := make(chan struct{}), make(chan error, 1)
		go func() { asked <- ask(s.idle, stop) }()
		sample, err := run(ctx, s)
		close(stop)
		if failed := <-asked; err == nil {
			err = failed
		}
		return sample, err
	}
}

func ask(conns []*load.Conn, stop chan struct{}) error {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		case <-time.After(crowdPause):
		}
		if _, err := conns[i%len(conns)].Drain("SELECT 1"); err != nil {
			return err
		}
	}
}

// besideSlow runs a workload while one client reads a large result slowly.
func besideSlow(run func(context.Context, *Stage) (Sample, error)) func(context.Context, *Stage) (Sample, error) {
	return func(ctx context.Context, s *Stage) (Sample, error) {
		conn, err := load.Dial(ctx, s.Target)
		if err != nil {
			return nil, err
		}
		sipped := make(chan error, 1)
		go func() {
			const rows = 1 << 17 // of 8 KB: more than can be sipped in any round
			_, err := conn.Sip(eightKB(rows), sipSize, sipPause, time.Now().Add(s.Window))
			sipped <- err
		}()
		sample, err := run(ctx, s)
		if failed := <-sipped; err == nil {
			err = failed
		}
		_ = conn.Drop() // a reader that gives up
		return sample, err
	}
}

// idleMemory opens clients that have asked for one thing each, and measures the memory
// for them.
func idleMemory(clients int) func(context.Context, *Stage) (Sample, error) {
	return func(ctx context.Context, s *Stage) (Sample, error) {
		count := s.crowd(clients)
		m := measure.New(s.PID)
		before, err := m.Resident()
		if err != nil {
			return nil, err
		}
		conns, err := dialMany(ctx, s.Target, count)
		if err != nil {
			return nil, err
		}
		defer closeAll(conns)
		for _, c := range conns {
			if _, err := c.Drain("SELECT 1"); err != nil {
				return nil, err
			}
		}
		cost, _, _, memory, err := s.meter(func() error { time.Sleep(settle); return nil })
		if err != nil {
			return nil, err
		}
		after, err := m.Resident()
		sample := shared(cost, memory)
		sample[PerClient] = float64(after-before) / float64(count)
		return sample, err
	}
}
