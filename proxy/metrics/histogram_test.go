package metrics

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestPercentilesAreRightToAQuarterOfAnOctave(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(random.ExpFloat64() * float64(20*time.Millisecond))
		h.Add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, p := range []float64{1, 50, 90, 99, 99.9, 100} {
		exact := all[min(len(all)-1, max(0, int(float64(len(all))*p/100)-1))]
		got := h.Percentile(p)
		if got < exact || float64(got) > float64(exact)*1.26+2000 {
			t.Errorf("percentile %v is %v, the exact one is %v", p, got, exact)
		}
	}
	if h.Count() != 10_000 || h.Max() != all[len(all)-1] {
		t.Errorf("the count is %d, the maximum %v", h.Count(), h.Max())
	}
}

func TestHistogramsMerge(t *testing.T) {
	var a, b, both Histogram
	for i := range 100 {
		d := time.Duration(i*i) * time.Millisecond
		both.Add(d)
		if i%2 == 0 {
			a.Add(d)
		} else {
			b.Add(d)
		}
	}
	a.Merge(&b)
	if a != both {
		t.Error("the sum of two histograms differs from the whole one")
	}
}

func TestEdges(t *testing.T) {
	var h Histogram
	if h.Percentile(50) != 0 {
		t.Error("an empty histogram has a median")
	}
	for _, d := range []time.Duration{-1, 0, 1, time.Microsecond, time.Hour * 1000} {
		h.Add(d)
	}
	if h.Percentile(100) != 1000*time.Hour && h.Percentile(100) < time.Hour {
		t.Errorf("p100 is %v", h.Percentile(100))
	}
}
