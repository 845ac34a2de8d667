package bench

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/report"
	"pgherd/bench/workload"
)

// smoke are workloads of every kind of driver, and what each must have measured.
var smoke = map[string][]workload.Metric{
	"select-prepared-8": {workload.TPS, workload.P50, workload.P99, workload.P999, workload.Whole, workload.Machine},
	"copy-in":           {workload.Rate, workload.Wall, workload.WholeBulk, workload.MachineBulk},
	"trickle":           {workload.RowP50, workload.RowP99},
}

// TestQuick runs the whole benchmark, quickly. It checks only that reports are
// well-formed and that each figure is a number.
func TestQuick(t *testing.T) {
	dir := t.TempDir()
	binary, err := herd.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "report")
	code := Main([]string{"pgherd-bench", "-quick", "-install=false", "-binary", binary, "-out", out,
		"-run", "^(select-prepared-8|copy-in|trickle)$", "-variants", "^(direct|pgherd|pgherd-epoll)$"})
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	text, err := os.ReadFile(filepath.Join(out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Workloads) != len(smoke) || len(r.Verdicts) == 0 || len(r.Peers) != 3 || r.Machine.Cores == 0 || r.Machine.Kernel == "" {
		t.Errorf("the report lacks something:\n%s", text)
	}
	for _, w := range r.Workloads {
		for _, v := range w.Variants {
			wantVariant(t, w.Name, v)
		}
		if plot, err := os.ReadFile(filepath.Join(out, w.Name+".svg")); err != nil || !strings.HasSuffix(string(plot), "</svg>\n") {
			t.Errorf("plot of %s: %v", w.Name, err)
		}
	}
}

func wantVariant(t *testing.T, name string, v report.Variant) {
	t.Helper()
	if v.Why != "" || len(v.Rounds) != 1 {
		t.Fatalf("%s, %s: %d rounds, %s", name, v.Peer, len(v.Rounds), v.Why)
	}
	sample := v.Rounds[0]
	for _, metric := range smoke[name] {
		if value := sample[metric]; value <= 0 || math.IsInf(value, 0) || math.IsNaN(value) {
			t.Errorf("%s, %s: %s is %v", name, v.Peer, metric, value)
		}
	}
	if between := sample[workload.Memory] > 0; between != (v.Peer != "direct") {
		t.Errorf("%s, %s: a proxy's memory is %v KB", name, v.Peer, sample[workload.Memory])
	}
	spent := sample[workload.Proxy] + sample[workload.ProxyBulk]
	if between := spent > 0; name != "trickle" && between != (v.Peer != "direct") {
		t.Errorf("%s, %s: a proxy has spent %v", name, v.Peer, spent)
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-rounds", "2", "-run", "narrow", "-peer", "a=b:1=c", "-peer", "d=e:2=f", "-binary", "/x"}, io.Discard)
	if err != nil || o.rounds != 2 || !o.run.MatchString("tls-narrow") || !o.variants.MatchString("direct") || len(o.wanted.Given) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-rounds", "0"}, {"-window", "-1s"}, {"-run", "("}, {"-variants", "("}, {"narrow"}, {"-nothing"}} {
		if _, err := parse(bad, io.Discard); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestValueOf(t *testing.T) {
	if got := valueOf("MemFree: 1 kB\nMemTotal:   2  kB\n", "MemTotal"); got != "2 kB" {
		t.Errorf("%q", got)
	}
	if got := valueOf("", "MemTotal"); got != "unknown" {
		t.Errorf("%q", got)
	}
}
