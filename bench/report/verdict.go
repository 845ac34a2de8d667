package report

import (
	"fmt"
	"strings"

	"pgherd/bench/workload"
)

// target is a row of what is to be reached.
type target struct {
	what      string
	workloads []string // the worst of them counts
	metric    workload.Metric
	against   string                     // a peer; empty if the figure itself counts
	combine   func(a, b float64) float64 // ours and theirs, in a round
	limit     float64
	atLeast   bool   // reached at or above limit, not at or below it
	of        string // the peer that is judged
}

var (
	smallOnes    = []string{"select-simple-8", "select-simple-64", "select-prepared-8", "select-prepared-64"}
	preparedOnes = smallOnes[2:]
	largeOnes    = []string{"narrow", "copy-out"}
	answers      = []string{"result-10k", "result-50k", "result-200k"}
)

// ours is pgherd as it ships; the others are peers' names.
const (
	ours       = "pgherd"
	epoll      = "pgherd-epoll"
	routed     = "balanced"
	unstreamed = "nostream"
	bouncer    = "pgbouncer"
	pool       = "pgpool"
	without    = "direct"
)

var targets = []target{
	{"small transactions: proxy CPU per transaction", smallOnes, workload.Proxy, bouncer, ratio, 0.9, false, ours},
	{"small transactions: proxy CPU per transaction", smallOnes, workload.Proxy, pool, ratio, 0.25, false, ours},
	{"small transactions: transactions a second", smallOnes, workload.TPS, bouncer, ratio, 1, true, ours},
	{"large results: proxy CPU per 100 MB", largeOnes, workload.ProxyBulk, bouncer, ratio, 0.2, false, ours},
	{"large results: proxy CPU per 100 MB", largeOnes, workload.ProxyBulk, pool, ratio, 0.06, false, ours},
	{"large results: time", largeOnes, workload.Wall, without, ratio, 0.97, false, ours},
	{"large results: CPU of all", largeOnes, workload.WholeBulk, without, ratio, 1, false, ours},
	{"answers of 10, 50, 200 KB: p50", answers, workload.P50, unstreamed, ratio, 1.1, false, ours},
	{"answers of 10, 50, 200 KB: p99", answers, workload.P99, unstreamed, ratio, 1.1, false, ours},
	{"COPY IN: proxy CPU per 100 MB", []string{"copy-in"}, workload.ProxyBulk, bouncer, ratio, 0.5, false, ours},
	{"first row of a trickle, ms added", []string{"trickle"}, workload.First, without, difference, 0.3, false, ours},
	{"p99 of a trickle's rows, ms added", []string{"trickle"}, workload.RowP99, without, difference, 0.3, false, ours},
	{"memory per idle client, KB", []string{"idle-5000"}, workload.PerClient, "", nil, 12, false, ours},
	{"memory per idle client, KB, TLS", []string{"idle-5000-tls"}, workload.PerClient, "", nil, 40, false, ours},
	{"io_uring beside epoll: proxy CPU per transaction", smallOnes, workload.Proxy, epoll, ratio, 0.9, false, ours},
	{"64 clients: p99", []string{"select-simple-64", "select-prepared-64"}, workload.P99, bouncer, ratio, 1, false, ours},
	{"reads spread over two nodes: proxy CPU per transaction", preparedOnes, workload.Proxy, bouncer, ratio, 1, false, routed},
	{"reads spread over two nodes: proxy CPU, us added", preparedOnes, workload.Proxy, ours, difference, 1, false, routed},
}

// The three verdicts.
const (
	Reached    = "reached"
	NotReached = "not reached"
	NotKnown   = "not measured"
)

// Verdict is what a run says of a target.
type Verdict struct {
	What    string             `json:"what"`
	Against string             `json:"against"`
	Wanted  string             `json:"wanted"`
	Verdict string             `json:"verdict"`
	Found   map[string]float64 `json:"found"` // medians, by workload
	Worst   float64            `json:"worst"`
	Missing []string           `json:"missing,omitempty"` // workloads without a figure
}

// Judge fills in the verdicts.
func (r *Report) Judge() {
	r.Verdicts = nil
	for _, t := range targets {
		r.Verdicts = append(r.Verdicts, r.judge(t))
	}
}

func (r *Report) judge(t target) Verdict {
	v := Verdict{What: t.what, Against: t.against, Verdict: NotKnown, Found: map[string]float64{}}
	v.Wanted = fmt.Sprintf("at most %g", t.limit)
	if t.atLeast {
		v.Wanted = fmt.Sprintf("at least %g", t.limit)
	}
	for _, name := range t.workloads {
		spread, ok := r.measured(t, name)
		if !ok {
			v.Missing = append(v.Missing, name)
			continue
		}
		if len(v.Found) == 0 || t.atLeast == (spread.Median < v.Worst) {
			v.Worst = spread.Median
		}
		v.Found[name] = spread.Median
	}
	if len(v.Found) > 0 {
		v.Verdict = NotReached
		if v.Worst == t.limit || t.atLeast == (v.Worst > t.limit) {
			v.Verdict = Reached
		}
	}
	return v
}

func (r *Report) measured(t target, name string) (Spread, bool) {
	result, ok := r.result(name)
	if !ok {
		return Spread{}, false
	}
	mine, ok := result.variant(t.of)
	if !ok {
		return Spread{}, false
	}
	if t.against == "" {
		return mine.spread(t.metric)
	}
	theirs, ok := result.variant(t.against)
	if !ok {
		return Spread{}, false
	}
	return joined(mine, theirs, t.metric, t.combine)
}

// figures lists what was found, in the target's own order of workloads.
func (v Verdict) figures() string {
	var parts []string
	for _, w := range workload.All {
		if value, ok := v.Found[w.Name]; ok {
			parts = append(parts, fmt.Sprintf("%s %s", w.Name, number(value)))
		}
	}
	if len(v.Missing) > 0 && len(v.Found) > 0 {
		parts = append(parts, "without "+strings.Join(v.Missing, ", "))
	}
	return strings.Join(parts, "; ")
}
