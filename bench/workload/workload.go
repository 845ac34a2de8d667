// Package workload holds what is asked of PostgreSQL and how each round of it is measured.
//
// Contract: All is the table, a line for each workload. Run runs one round of it
// against one peer and returns numbers by Metric; nothing of a round outlives it
// but what SetUp has opened, which Stage.Close closes. Connections are opened,
// and log-ins are over, before measuring begins, except where they are the point.
package workload

import (
	"context"
	"errors"
	"time"

	"pgherd/bench/load"
	"pgherd/bench/measure"
	"pgherd/bench/peers"
)

// Metric names a number of a Sample.
type Metric string

// The metrics. Transactions and 100 MB are each other's counterparts: a workload has either.
const (
	TPS     Metric = "tps"
	P50     Metric = "p50_ms"
	P99     Metric = "p99_ms"
	P999    Metric = "p999_ms"
	Proxy   Metric = "proxy_us_per_tx"
	Whole   Metric = "whole_us_per_tx"
	Machine Metric = "machine_us_per_tx"

	Rate        Metric = "mb_per_s"
	Wall        Metric = "ms_per_100mb"
	ProxyBulk   Metric = "proxy_cpu_ms_per_100mb"
	WholeBulk   Metric = "whole_cpu_ms_per_100mb"
	MachineBulk Metric = "machine_cpu_ms_per_100mb"
	CallsEach   Metric = "system_calls_per_tx"
	CallsBulk   Metric = "system_calls_per_100mb"

	First  Metric = "first_row_ms"
	RowP50 Metric = "row_p50_ms"
	RowP99 Metric = "row_p99_ms"

	PerClient Metric = "kb_per_client"
	Memory    Metric = "peak_kb"
	Drift     Metric = "last_over_first_quarter"
	Others    Metric = "cores_used_by_others" // the noise: how many cores worked for somebody else
	Stolen    Metric = "cores_stolen"         // and for other virtual machines
)

// Sample is what one round has shown.
type Sample map[Metric]float64

// Workload is one line of the table.
type Workload struct {
	Name string
	What string
	Mode peers.Mode
	Once bool // one round is all that makes sense

	setUp func(ctx context.Context, s *Stage) error // optional: what stays open over all rounds
	run   func(ctx context.Context, s *Stage) (Sample, error)
}

// Stage is where a workload meets one peer.
type Stage struct {
	Target  load.Target
	PID     int // the proxy's first process; 0 if there is none
	Pgbench string
	Dir     string        // for pgbench's logs
	Window  time.Duration // how long a round measures
	Quick   bool          // so little that only the form of the results means anything
	Count   bool          // the proxy's system calls, which makes everything else slower

	idle    []*load.Conn
	closers []func() error
}

// SetUp opens what stays open over all rounds.
func (w *Workload) SetUp(ctx context.Context, s *Stage) error {
	if w.setUp == nil {
		return nil
	}
	return w.setUp(ctx, s)
}

// Run runs one round.
func (w *Workload) Run(ctx context.Context, s *Stage) (Sample, error) { return w.run(ctx, s) }

// Close closes what SetUp has opened.
func (s *Stage) Close() error {
	var errs []error
	for _, shut := range s.closers {
		errs = append(errs, shut())
	}
	s.closers, s.idle = nil, nil
	return errors.Join(errs...)
}

// meter measures while during runs.
func (s *Stage) meter(during func() error) (cost measure.Cost, begin, end time.Time, memory int64, err error) {
	var calls measure.Calls
	if s.Count && s.PID != 0 {
		if calls, err = measure.CountCalls(s.PID); err != nil {
			return
		}
	}
	defer func() { err = errors.Join(err, calls.Close()) }()
	m := measure.New(s.PID)
	if begin, err = m.Begin(); err != nil {
		return
	}
	before, err := calls.Count()
	if err != nil {
		return
	}
	if err = during(); err != nil {
		return
	}
	after, err := calls.Count()
	if err != nil {
		return
	}
	if cost, end, err = m.End(); err != nil {
		return
	}
	cost.Calls = after - before
	memory, err = m.Peak()
	return
}

func seconds(d time.Duration) float64 { return d.Seconds() }
func micros(d time.Duration) float64  { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64  { return float64(d) / float64(time.Millisecond) }

// shared are the numbers that every workload has.
func shared(cost measure.Cost, memory int64) Sample {
	return Sample{
		Memory: float64(memory),
		Others: max(0, seconds(cost.Machine-cost.Whole)/seconds(cost.Elapsed)),
		Stolen: seconds(cost.Stolen) / seconds(cost.Elapsed),
	}
}

// small adds the numbers of many short transactions.
func small(cost measure.Cost, memory int64, latencies []time.Duration) (Sample, error) {
	if len(latencies) == 0 {
		return nil, errors.New("measure transactions: none ended in time")
	}
	count := float64(len(latencies))
	sample := shared(cost, memory)
	sample[TPS] = count / seconds(cost.Elapsed)
	sample[Proxy] = micros(cost.Proxy) / count
	sample[Whole] = micros(cost.Whole) / count
	sample[Machine] = micros(cost.Machine) / count
	if cost.Calls > 0 {
		sample[CallsEach] = float64(cost.Calls) / count
	}
	sorted := sort(latencies)
	sample[P50], sample[P99], sample[P999] = millis(at(sorted, 0.5)), millis(at(sorted, 0.99)), millis(at(sorted, 0.999))
	return sample, nil
}

// bulk adds the numbers of much data.
func bulk(cost measure.Cost, memory, bytes int64) Sample {
	hundred := float64(bytes) / 100e6
	sample := shared(cost, memory)
	sample[Rate] = float64(bytes) / 1e6 / seconds(cost.Elapsed)
	sample[Wall] = millis(cost.Elapsed) / hundred
	sample[ProxyBulk] = millis(cost.Proxy) / hundred
	sample[WholeBulk] = millis(cost.Whole) / hundred
	sample[MachineBulk] = millis(cost.Machine) / hundred
	if cost.Calls > 0 {
		sample[CallsBulk] = float64(cost.Calls) / hundred
	}
	return sample
}
