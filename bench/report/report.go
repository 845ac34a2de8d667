// Package report makes of rounds of samples what people read: medians and their
// spread, ratios, verdicts; as Markdown, as JSON and as plots.
//
// Contract: everything is a pure function of a Report, but for Write. Ratios are
// taken within a round, where both peers met the same noise, and the median is
// taken of the ratios. No figure here decides how a program ends.
package report

import (
	"slices"
	"time"

	"pgherd/bench/workload"
)

// Report is one run of the bench; as JSON it is all of it.
type Report struct {
	Begun     time.Time `json:"begun"`
	Seconds   float64   `json:"seconds"`
	Machine   Machine   `json:"machine"`
	Settings  Settings  `json:"settings"`
	Peers     []Peer    `json:"peers"`
	LeftOut   []string  `json:"left_out"`
	Workloads []Result  `json:"workloads"`
	Verdicts  []Verdict `json:"verdicts"`
}

// Machine is where it ran.
type Machine struct {
	Kernel string `json:"kernel"`
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
}

// Settings are how it ran.
type Settings struct {
	Rounds        int      `json:"rounds"`
	WindowSeconds float64  `json:"window_seconds"`
	Quick         bool     `json:"quick"`
	Scale         int      `json:"scale"`
	PoolSize      int      `json:"pool_size"`
	Login         string   `json:"login"`
	PostgreSQL    []string `json:"postgresql"`
}

// Peer is who took part.
type Peer struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Notes   []string `json:"notes,omitempty"`
}

// Result is one workload.
type Result struct {
	Name     string    `json:"name"`
	What     string    `json:"what"`
	Variants []Variant `json:"variants"`
}

// Variant is one peer in one workload. Rounds is as long as there were rounds;
// one that failed is null, and Why says how.
type Variant struct {
	Peer   string            `json:"peer"`
	Why    string            `json:"why,omitempty"`
	Rounds []workload.Sample `json:"rounds"`
	Calls  workload.Sample   `json:"calls,omitempty"` // of a turn after the rounds: the system calls alone
}

// Spread is a metric over the rounds.
type Spread struct{ Median, Least, Most float64 }

// spreadOf is false if there is no figure.
func spreadOf(values []float64) (Spread, bool) {
	if len(values) == 0 {
		return Spread{}, false
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Spread{median, sorted[0], sorted[len(sorted)-1]}, true
}

// spread is a metric of a variant.
func (v Variant) spread(metric workload.Metric) (Spread, bool) {
	var values []float64
	for _, sample := range append([]workload.Sample{v.Calls}, v.Rounds...) {
		if value, ok := sample[metric]; ok {
			values = append(values, value)
		}
	}
	return spreadOf(values)
}

// joined combines a metric of two variants round by round.
func joined(v, other Variant, metric workload.Metric, combine func(a, b float64) float64) (Spread, bool) {
	var values []float64
	for i := range min(len(v.Rounds), len(other.Rounds)) {
		a, has := v.Rounds[i][metric]
		b, hasOther := other.Rounds[i][metric]
		if has && hasOther && b != 0 {
			values = append(values, combine(a, b))
		}
	}
	return spreadOf(values)
}

func ratio(a, b float64) float64      { return a / b }
func difference(a, b float64) float64 { return a - b }

func (r Result) variant(peer string) (Variant, bool) {
	at := slices.IndexFunc(r.Variants, func(v Variant) bool { return v.Peer == peer })
	if at < 0 {
		return Variant{}, false
	}
	return r.Variants[at], true
}

func (r *Report) result(name string) (Result, bool) {
	at := slices.IndexFunc(r.Workloads, func(w Result) bool { return w.Name == name })
	if at < 0 {
		return Result{}, false
	}
	return r.Workloads[at], true
}
