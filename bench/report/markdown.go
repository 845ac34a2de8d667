package report

import (
	"fmt"
	"strings"
	"time"

	"pgherd/bench/workload"
)

// Markdown is the whole report; plots says in which folder the plots are, empty for none.
func (r *Report) Markdown(plots string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "## Targets\n\n%s\n## How\n\n%s\n## Summary\n\n%s\n", r.VerdictTable(), r.how(), r.Summary())
	for _, w := range r.Workloads {
		fmt.Fprintf(&out, "## %s\n%s\n\n%s\n", w.Name, w.What, w.table())
		if plots != "" {
			fmt.Fprintf(&out, "![%s](%s/%s.svg)\n\n", w.Name, plots, w.Name)
		}
	}
	return out.String()
}

// VerdictTable is a row for each target.
func (r *Report) VerdictTable() string {
	var out strings.Builder
	out.WriteString("| target | against | wanted | found (medians) | verdict |\n|---|---|---|---|---|\n")
	for _, v := range r.Verdicts {
		against := v.Against
		if against == "" {
			against = "-"
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", v.What, against, v.Wanted, v.figures(), v.Verdict)
	}
	return out.String()
}

func (r *Report) how() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s, %v. Linux %s, %d cores (%s), %s.\n\n", r.Begun.UTC().Format(time.DateTime),
		time.Duration(r.Seconds*float64(time.Second)).Round(time.Second), r.Machine.Kernel, r.Machine.Cores, r.Machine.CPU, r.Machine.Memory)
	s := r.Settings
	fmt.Fprintf(&out, "%d rounds of %gs, pgbench scale %d, at most %d servers per pooler, log-in by %s.\nPostgreSQL: %s.\n\n",
		s.Rounds, s.WindowSeconds, s.Scale, s.PoolSize, s.Login, strings.Join(s.PostgreSQL, ", "))
	if s.Quick {
		out.WriteString("This was a quick run: its figures mean nothing.\n\n")
	}
	out.WriteString("| peer | version | notes |\n|---|---|---|\n")
	for _, p := range r.Peers {
		fmt.Fprintf(&out, "| %s | %s | %s |\n", p.Name, p.Version, strings.Join(p.Notes, "; "))
	}
	for _, line := range r.LeftOut {
		fmt.Fprintf(&out, "\n%s\n", line)
	}
	return out.String()
}

// table is a row for each peer that was measured, and a line for each that was not.
func (w Result) table() string {
	var out, left strings.Builder
	shown := w.shown()
	out.WriteString("| |")
	for _, c := range shown {
		fmt.Fprintf(&out, " %s |", c.title)
	}
	chief, hasChief := w.first(chiefs)
	cost, hasCost := w.first(costs)
	fmt.Fprintf(&out, " %s / direct | %s / pgbouncer |\n|---|%s---|---|\n", chief.title, cost.title, strings.Repeat("---|", len(shown)))
	for _, v := range w.Variants {
		if v.Why != "" {
			fmt.Fprintf(&left, "- %s: %s\n", v.Peer, v.Why)
		}
		if len(v.Rounds) == 0 {
			continue
		}
		fmt.Fprintf(&out, "| %s |", v.Peer)
		for _, c := range shown {
			fmt.Fprintf(&out, " %s |", c.cell(v))
		}
		fmt.Fprintf(&out, " %s | %s |\n", w.beside(v, without, chief.metric, hasChief), w.beside(v, bouncer, cost.metric, hasCost))
	}
	if left.Len() > 0 {
		out.WriteString("\n" + left.String())
	}
	return out.String()
}

// beside is the median of the in-round ratios to another peer.
func (w Result) beside(v Variant, peer string, metric workload.Metric, known bool) string {
	other, ok := w.variant(peer)
	if !ok || !known {
		return ""
	}
	spread, ok := joined(v, other, metric, ratio)
	if !ok {
		return ""
	}
	return number(spread.Median)
}

// Brief is a line for each peer, for who watches the run.
func (w Result) Brief() string {
	var out strings.Builder
	for _, v := range w.Variants {
		fmt.Fprintf(&out, "  %-14s", v.Peer)
		if len(v.Rounds) > 0 {
			for _, wanted := range [][]workload.Metric{chiefs, {workload.P99}, costs} {
				if c, ok := w.first(wanted); ok {
					fmt.Fprintf(&out, " %10s %-22s", number(medianOf(v, c)), c.title)
				}
			}
		}
		fmt.Fprintf(&out, " %s\n", v.Why)
	}
	return out.String()
}

func medianOf(v Variant, c column) float64 {
	spread, _ := v.spread(c.metric) // none is 0
	return spread.Median / c.scale
}
