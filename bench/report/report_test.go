package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgherd/bench/workload"
)

func rounds(metric workload.Metric, values ...float64) []workload.Sample {
	var all []workload.Sample
	for _, v := range values {
		if v == 0 {
			all = append(all, nil) // a round that failed
			continue
		}
		all = append(all, workload.Sample{metric: v})
	}
	return all
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Spread
		ok     bool
	}{
		{nil, Spread{}, false},
		{[]float64{3}, Spread{3, 3, 3}, true},
		{[]float64{9, 1, 2}, Spread{2, 1, 9}, true},
		{[]float64{4, 1, 2, 9}, Spread{3, 1, 9}, true},
	} {
		if got, ok := spreadOf(c.values); got != c.want || ok != c.ok {
			t.Errorf("%v: %+v %v, want %+v", c.values, got, ok, c.want)
		}
	}
}

// In one round the machine was ten times as slow for both peers. The ratio does not
// show that, and rounds of which only one peer has a figure do not count.
func TestRatiosAreOfOneRound(t *testing.T) {
	a := Variant{Rounds: rounds(workload.TPS, 100, 10, 90, 500)}
	b := Variant{Rounds: rounds(workload.TPS, 200, 20, 180, 0)}
	if got, ok := joined(a, b, workload.TPS, ratio); !ok || got != (Spread{0.5, 0.5, 0.5}) {
		t.Errorf("%+v %v", got, ok)
	}
	if _, ok := joined(a, Variant{}, workload.TPS, ratio); ok {
		t.Error("a ratio to nothing")
	}
}

// A misspelled workload or peer would never be measured.
func TestTargetsNameWhatExists(t *testing.T) {
	for _, target := range targets {
		for _, name := range target.workloads {
			if !slices.ContainsFunc(workload.All, func(w workload.Workload) bool { return w.Name == name }) {
				t.Errorf("%s: there is no workload %s", target.what, name)
			}
		}
		if !slices.Contains([]string{"", epoll, unstreamed, bouncer, pool, without, ours}, target.against) {
			t.Errorf("%s: there is no peer %s", target.what, target.against)
		}
		if target.of != ours && target.of != routed {
			t.Errorf("target %s: no verdict is made of %s", target.what, target.of)
		}
		if (target.against == "") != (target.combine == nil) {
			t.Errorf("target %s: it combines no workloads, or there is no peer to compare with", target.what)
		}
	}
}

func TestVerdicts(t *testing.T) {
	most := target{"x", []string{"a", "b"}, workload.TPS, bouncer, ratio, 0.5, false, ours}
	least := most
	least.atLeast = true
	for _, c := range []struct {
		target        target
		a, b, theirs  float64
		verdict       string
		worst, missed float64
	}{
		{most, 40, 50, 100, Reached, 0.5, 0},
		{most, 40, 51, 100, NotReached, 0.51, 0},
		{most, 51, 40, 100, NotReached, 0.51, 0},
		{most, 40, 0, 100, Reached, 0.4, 1},
		{most, 0, 0, 100, NotKnown, 0, 2},
		{least, 60, 50, 100, Reached, 0.5, 0},
		{least, 60, 49, 100, NotReached, 0.49, 0},
		{least, 49, 60, 100, NotReached, 0.49, 0},
	} {
		var r Report
		for name, value := range map[string]float64{"a": c.a, "b": c.b} {
			r.Workloads = append(r.Workloads, Result{Name: name, Variants: []Variant{
				{Peer: ours, Rounds: rounds(workload.TPS, value)}, {Peer: bouncer, Rounds: rounds(workload.TPS, c.theirs)}}})
		}
		if v := r.judge(c.target); v.Verdict != c.verdict || v.Worst != c.worst || len(v.Missing) != int(c.missed) {
			t.Errorf("%+v: %+v", c, v)
		}
	}
	if v := (&Report{}).judge(most); v.Verdict != NotKnown || len(v.Missing) != 2 {
		t.Errorf("nothing was measured: %+v", v)
	}
}

func TestNumber(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 12345.6: "12346", 123: "123", 12.34: "12.3", 1.234: "1.23",
		0.1234: "0.123", 0.000001: "0.0000", -0.5: "-0.500", -1234: "-1234"} {
		if got := number(value); got != want {
			t.Errorf("%v: %s, want %s", value, got, want)
		}
	}
}

func sampleReport() *Report {
	r := &Report{LeftOut: []string{"haproxy is left out: it is not there"}, Peers: []Peer{{Name: ours, Version: "1"}}}
	r.Workloads = []Result{
		{Name: "select-simple-8", What: "a < b & c", Variants: []Variant{
			{Peer: without, Rounds: rounds(workload.TPS, 10, 11)}, {Peer: ours, Rounds: rounds(workload.TPS, 5, 0), Why: "round 2: lost"},
			{Peer: pool, Why: "cannot"}}},
		{Name: "nobody", Variants: []Variant{{Peer: ours, Why: "it ended"}}},
	}
	r.Judge()
	return r
}

func TestWrittenReportIsWellFormed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := sampleReport().Write(dir); err != nil {
		t.Fatal(err)
	}
	var back Report
	whole, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil || json.Unmarshal(whole, &back) != nil || len(back.Workloads) != 2 || len(back.Verdicts) != len(targets) {
		t.Errorf("report.json: %v: %s", err, whole)
	}
	for _, name := range []string{"select-simple-8.svg", "nobody.svg"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || wellFormed(string(text)) != nil {
			t.Errorf("%s: %v, %v", name, err, wellFormed(string(text)))
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| direct | 10.5 (10.0-11.0) | 1.00 |  |", "| pgherd | 5.00 (5.00-5.00) | 0.500 |", "- pgpool: cannot", "| select-simple-8 | 0.500 |\n", "- pgherd: round 2: lost", "haproxy is left out"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("report.md lacks %q:\n%s", want, text)
		}
	}
	wantTables(t, string(text))
}

// wantTables checks that the rows of a table have as many cells as its header.
func wantTables(t *testing.T, text string) {
	t.Helper()
	cells := 0
	for line := range strings.Lines(text) {
		count := strings.Count(line, "|")
		if cells != 0 && count != 0 && count != cells {
			t.Errorf("%d bars, not %d: %s", count, cells, line)
		}
		cells = count
	}
}

func wellFormed(text string) error {
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
