package report

import (
	"fmt"
	"slices"
	"strings"

	"pgherd/bench/workload"
)

// Summary is tables with a row for each workload and a column for each peer:
// what was achieved beside direct, what the proxy spent, and how long it took; and the noise.
func (r *Report) Summary() string {
	var out strings.Builder
	out.WriteString("Achieved, divided by direct (transactions or MB a second; in-round ratios, medians):\n\n")
	r.grid(&out, func(w Result, v Variant) string {
		chief, ok := w.first([]workload.Metric{workload.TPS, workload.Rate})
		return w.beside(v, without, chief.metric, ok)
	})
	out.WriteString("\nCPU of the proxy, us per transaction, or ms per 100 MB for bulk (medians):\n\n")
	r.grid(&out, func(w Result, v Variant) string {
		cost, ok := w.first([]workload.Metric{workload.Proxy, workload.ProxyBulk})
		if spread, has := v.spread(cost.metric); ok && has && v.Peer != without {
			return number(spread.Median)
		}
		return ""
	})
	out.WriteString("\nSystem calls of the proxy, each transaction, or each 100 MB for bulk:\n\n")
	r.grid(&out, median(workload.CallsEach, workload.CallsBulk))
	out.WriteString("\np99 latency, ms (medians):\n\n")
	r.grid(&out, median(workload.P99, workload.RowP99))
	return out.String() + "\n" + r.noise()
}

// median is the cell of the first of these metrics that a workload has.
func median(metrics ...workload.Metric) func(Result, Variant) string {
	return func(_ Result, v Variant) string {
		for _, metric := range metrics {
			if spread, has := v.spread(metric); has {
				return number(spread.Median)
			}
		}
		return ""
	}
}

// grid leaves out rows without any figure.
func (r *Report) grid(out *strings.Builder, cell func(Result, Variant) string) {
	out.WriteString("| |")
	for _, p := range r.Peers {
		fmt.Fprintf(out, " %s |", p.Name)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|", len(r.Peers)))
	for _, w := range r.Workloads {
		cells := make([]string, len(r.Peers))
		for i, p := range r.Peers {
			if v, ok := w.variant(p.Name); ok {
				cells[i] = cell(w, v)
			}
		}
		if slices.ContainsFunc(cells, func(text string) bool { return text != "" }) {
			fmt.Fprintf(out, "| %s | %s |\n", w.Name, strings.Join(cells, " | "))
		}
	}
}

// noise is what somebody else did to the machine meanwhile.
func (r *Report) noise() string {
	var all Variant
	for _, w := range r.Workloads {
		for _, v := range w.Variants {
			all.Rounds = append(all.Rounds, v.Rounds...)
		}
	}
	others, ok := all.spread(workload.Others)
	if !ok {
		return ""
	}
	stolen, _ := all.spread(workload.Stolen) // measured together
	return fmt.Sprintf("Noise: of %d cores, others used %s in the median round and %s in the worst; other virtual machines took %s and %s.\n",
		r.Machine.Cores, number(others.Median), number(others.Most), number(stolen.Median), number(stolen.Most))
}
