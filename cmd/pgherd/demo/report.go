package demo

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is what came of one fault. Times are milliseconds after it; nil: it did not happen.
// Detected, fenced and promoted are from pgherd's log, the others are clients'.
type row struct {
	Fault       string         `json:"fault"`
	Node        int            `json:"node"`
	Detected    *float64       `json:"detected_ms"`
	Fenced      *float64       `json:"fenced_ms"`
	Promoted    *float64       `json:"promoted_ms"`
	FirstWrite  *float64       `json:"first_write_ms"`
	FirstRead   *float64       `json:"first_read_ms"`
	WritePause  *float64       `json:"write_pause_ms"` // the longest time without an answer, over all clients that write
	ReadPause   *float64       `json:"read_pause_ms"`
	Lost        map[string]int `json:"sessions_lost"`             // by kind of client
	Failed      map[string]int `json:"failed_by_sqlstate"`        // statements and transactions
	CommitsLost int            `json:"commits_lost"`              // acknowledged, and not there
	Untrue      int            `json:"reported_undone_but_there"` // 40001, and there
}

// summary is of all rows of one fault.
type summary struct {
	Fault  string              `json:"fault"`
	Runs   int                 `json:"runs"`
	Median map[string]*float64 `json:"median_ms"`
	Worst  map[string]*float64 `json:"worst_ms"`
}

type report struct {
	Rows    []row     `json:"rows"`
	Summary []summary `json:"summary"`
	Notes   []string  `json:"notes"`
}

func milliseconds(d time.Duration) *float64 {
	ms := math.Round(float64(d)/float64(time.Millisecond)*10) / 10
	return &ms
}

// The steps of which the log has a line each, by how the line goes on after its level.
var (
	detectedSteps = []string{"herd: fail ", "herd: down "}
	fencedSteps   = []string{"herd: fence is done"}
	promotedSteps = []string{"herd: primary "}
)

// times reads when the steps of a failover were taken, in what pgherd has logged since.
func (r *row) times(log string, struck time.Time) {
	r.Detected, r.Fenced, r.Promoted = step(log, struck, detectedSteps), step(log, struck, fencedSteps), step(log, struck, promotedSteps)
}

const logTime = "2006-01-02 15:04:05.000"

// step is when the first of these lines was logged; nil if none was.
func step(log string, struck time.Time, words []string) *float64 {
	for line := range strings.SplitSeq(log, "\n") {
		for _, w := range words {
			if !strings.Contains(line, ":  "+w) || len(line) < len(logTime) {
				continue
			}
			if at, err := time.ParseInLocation(logTime, line[:len(logTime)], time.Local); err == nil {
				return milliseconds(max(0, at.Sub(struck)))
			}
		}
	}
	return nil
}

// noticed says that the log tells of the fault, and of what has to come after it.
func noticed(log string, f fault, struck time.Time) error {
	if !f.planned && step(log, struck, detectedSteps) == nil || f.primary && step(log, struck, promotedSteps) == nil {
		return errors.New("pgherd's log does not tell of it")
	}
	return nil
}

// columns of times, in the order in which they happen.
var chaosColumns = []struct {
	name string
	of   func(*row) *float64
}{
	{"detected", func(r *row) *float64 { return r.Detected }}, {"fenced", func(r *row) *float64 { return r.Fenced }},
	{"promoted", func(r *row) *float64 { return r.Promoted }}, {"first write", func(r *row) *float64 { return r.FirstWrite }},
	{"first read", func(r *row) *float64 { return r.FirstRead }}, {"write pause", func(r *row) *float64 { return r.WritePause }},
	{"read pause", func(r *row) *float64 { return r.ReadPause }},
}

// summarize makes the medians and the worst of each fault.
func (r *report) summarize() {
	var names []string
	for i := range r.Rows {
		if !slices.Contains(names, r.Rows[i].Fault) {
			names = append(names, r.Rows[i].Fault)
		}
	}
	for _, name := range names {
		s := summary{Fault: name, Median: map[string]*float64{}, Worst: map[string]*float64{}}
		for _, c := range chaosColumns {
			var all []float64
			s.Runs = 0
			for i := range r.Rows {
				if r.Rows[i].Fault != name {
					continue
				}
				s.Runs++
				if v := c.of(&r.Rows[i]); v != nil {
					all = append(all, *v)
				}
			}
			if len(all) > 0 {
				slices.Sort(all)
				s.Median[c.name], s.Worst[c.name] = &all[(len(all)-1)/2], &all[len(all)-1]
			}
		}
		r.Summary = append(r.Summary, s)
	}
}

// verdict is an error if something happened that must not: the demo then fails.
func (r *report) verdict() error {
	for i := range r.Rows {
		if row := &r.Rows[i]; row.CommitsLost > 0 || row.Untrue > 0 {
			return fmt.Errorf("%s: %d acknowledged commits are lost, %d reported as undone are there", row.Fault, row.CommitsLost, row.Untrue)
		}
	}
	return nil
}

func (r *report) writeJSON(out io.Writer) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		_, err = fmt.Fprintln(out, string(text))
	}
	return cmp.Or(err, r.verdict())
}

func (r *report) write(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := "fault\tnode"
	for _, c := range chaosColumns {
		head += "\t" + c.name
	}
	fmt.Fprintln(table, "\n"+head+"\tsessions lost\tfailed, by SQLSTATE\tcommits lost")
	for i := range r.Rows {
		row := &r.Rows[i]
		fmt.Fprintf(table, "%s\t%d", row.Fault, row.Node)
		for _, c := range chaosColumns {
			fmt.Fprint(table, "\t", shown(c.of(row)))
		}
		fmt.Fprintf(table, "\t%s\t%s\t%d\n", counts(row.Lost), counts(row.Failed), row.CommitsLost)
	}
	for _, s := range r.Summary {
		for _, of := range []struct {
			name string
			ms   map[string]*float64
		}{{"median", s.Median}, {"worst", s.Worst}} {
			fmt.Fprintf(table, "%s of %d: %s\t", of.name, s.Runs, s.Fault)
			for _, c := range chaosColumns {
				fmt.Fprint(table, "\t", shown(of.ms[c.name]))
			}
			fmt.Fprintln(table, "\t\t\t")
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, note := range r.Notes {
		fmt.Fprintln(out, note)
	}
	return r.verdict()
}

// line is the row in words, for whoever watches.
func (r *row) line() string {
	return fmt.Sprintf("  detected after %s, writes again after %s, reads after %s; sessions lost: %s; failed: %s; commits lost: %d",
		shown(r.Detected), shown(r.FirstWrite), shown(r.FirstRead), counts(r.Lost), counts(r.Failed), r.CommitsLost)
}

func shown(ms *float64) string {
	if ms == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f ms", *ms)
}

func counts(of map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%d %s", of[name], name))
	}
	return cmp.Or(strings.Join(parts, ", "), "0")
}
