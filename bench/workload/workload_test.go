package workload

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"pgherd/bench/measure"
)

func TestTable(t *testing.T) {
	file := regexp.MustCompile(`^[a-z0-9-]+$`) // plots are files of that name
	seen := map[string]bool{}
	for _, w := range All {
		if !file.MatchString(w.Name) || seen[w.Name] || w.What == "" || w.run == nil {
			t.Errorf("%q is no good line", w.Name)
		}
		seen[w.Name] = true
	}
}

func TestAt(t *testing.T) {
	var sorted []time.Duration
	for i := range 1000 {
		sorted = append(sorted, time.Duration(i+1))
	}
	for share, want := range map[float64]time.Duration{0: 1, 0.5: 500, 0.99: 990, 0.999: 999, 1: 1000} {
		if got := at(sorted, share); got != want {
			t.Errorf("at %g: %d, want %d", share, got, want)
		}
	}
	if got := at(sorted[:1], 0.5); got != 1 {
		t.Errorf("of one: %d", got)
	}
}

func TestPgbenchLog(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"log.7":   "0 1 250 0 100 900000\n1 1 300 0 101 0\n0 2 400 0 103 999999\n",
		"log.7.1": "2 1 500 0 102 500000\n2 2 600 0 104 0\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	begin, end := time.Unix(101, 0), time.Unix(104, 0)
	log, err := readLogs(dir, begin, end)
	if err != nil || len(log) != 3 {
		t.Fatalf("%v, %v", log, err)
	}
	if took := sort(latencies(log)); took[0] != 300*time.Microsecond || took[2] != 500*time.Microsecond {
		t.Errorf("took %v", took)
	}
	if got, err := drift(log, begin, end); err != nil || got != 1 {
		t.Errorf("drift %v, %v: one in the first quarter, one in the last", got, err)
	}
	if _, err := drift(nil, begin, end); err == nil {
		t.Error("nothing has drifted")
	}
	for _, bad := range []string{"", "0 1 250 0 100", "0 1 failed 0 100 5"} {
		if _, err := parseTransaction(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestSamples(t *testing.T) {
	cost := measure.Cost{Elapsed: 2 * time.Second, Proxy: 100 * time.Millisecond, Whole: 300 * time.Millisecond, Machine: 500 * time.Millisecond}
	took := []time.Duration{time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond, 4 * time.Millisecond}
	sample, err := small(cost, 77, took)
	want := Sample{TPS: 2, Proxy: 25000, Whole: 75000, Machine: 125000, P50: 2, P99: 4, P999: 4, Memory: 77, Others: 0.1, Stolen: 0}
	wantSample(t, sample, want)
	if err != nil {
		t.Error(err)
	}
	wantSample(t, bulk(cost, 77, 50e6), Sample{Rate: 25, Wall: 4000, ProxyBulk: 200, WholeBulk: 600, MachineBulk: 1000,
		Memory: 77, Others: 0.1, Stolen: 0})
	if _, err := small(cost, 0, nil); err == nil {
		t.Error("no transaction is no measurement")
	}
}

func wantSample(t *testing.T, got, want Sample) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%v, want %v", got, want)
	}
	for metric, value := range want {
		if math.Abs(got[metric]-value) > 1e-9 {
			t.Errorf("%s is %v, want %v", metric, got[metric], value)
		}
	}
}
