package report

import (
	"fmt"
	"math"

	"pgherd/bench/workload"
)

// column is how a metric is shown.
type column struct {
	metric workload.Metric
	title  string
	scale  float64 // the shown unit in the metric's
}

var columns = []column{
	{workload.TPS, "tps", 1},
	{workload.P50, "p50, ms", 1},
	{workload.P99, "p99, ms", 1},
	{workload.P999, "p99.9, ms", 1},
	{workload.Rate, "MB/s", 1},
	{workload.First, "first row, ms", 1},
	{workload.RowP50, "row p50, ms", 1},
	{workload.RowP99, "row p99, ms", 1},
	{workload.PerClient, "KB per client", 1},
	{workload.Proxy, "proxy CPU, us/tx", 1},
	{workload.Whole, "CPU of all, us/tx", 1},
	{workload.Machine, "machine, us/tx", 1},
	{workload.ProxyBulk, "proxy CPU, ms/100 MB", 1},
	{workload.WholeBulk, "CPU of all, ms/100 MB", 1},
	{workload.MachineBulk, "machine, ms/100 MB", 1},
	{workload.CallsEach, "system calls/tx", 1},
	{workload.CallsBulk, "system calls/100 MB", 1},
	{workload.Drift, "last / first quarter", 1},
	{workload.Memory, "memory, MB", 1024},
	{workload.Others, "others, cores", 1},
	{workload.Stolen, "stolen, cores", 1},
}

// chiefs are the metrics a plot may be about, the first that a workload has.
var chiefs = []workload.Metric{workload.TPS, workload.Rate, workload.RowP99, workload.PerClient}

// costs are the same for what the proxy spends.
var costs = []workload.Metric{workload.Proxy, workload.ProxyBulk, workload.Memory}

func (r Result) first(wanted []workload.Metric) (column, bool) {
	for _, metric := range wanted {
		for _, v := range r.Variants {
			if _, ok := v.spread(metric); ok {
				return columnOf(metric), true
			}
		}
	}
	return column{}, false
}

func columnOf(metric workload.Metric) column {
	for _, c := range columns {
		if c.metric == metric {
			return c
		}
	}
	return column{metric, string(metric), 1}
}

// shown are the columns of which anybody has a figure.
func (r Result) shown() []column {
	var found []column
	for _, c := range columns {
		for _, v := range r.Variants {
			if _, ok := v.spread(c.metric); ok {
				found = append(found, c)
				break
			}
		}
	}
	return found
}

// number has three digits that count.
func number(value float64) string {
	if value == 0 || math.Abs(value) >= 100 {
		return fmt.Sprintf("%.0f", value)
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(value))))
	return fmt.Sprintf("%.*f", min(max(digits, 0), 4), value)
}

// cell is a median and, if there were several rounds, the least and the most.
func (c column) cell(v Variant) string {
	spread, ok := v.spread(c.metric)
	if !ok {
		return ""
	}
	text := number(spread.Median / c.scale)
	if len(v.Rounds) > 1 {
		text += fmt.Sprintf(" (%s-%s)", number(spread.Least/c.scale), number(spread.Most/c.scale))
	}
	return text
}
