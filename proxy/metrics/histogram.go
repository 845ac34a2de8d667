// Package metrics counts, in plain values that one worker owns and that are summed when
// somebody asks.
package metrics

import (
	"math/bits"
	"time"
)

// The buckets are durations below a microsecond, and then four for each power of two,
// up to about 70 minutes; longer durations count as that.
const (
	perOctave = 4
	octaves   = 32
	buckets   = 1 + perOctave*octaves
)

// Histogram counts durations. A percentile is accurate to a quarter of its octave.
type Histogram struct {
	counts [buckets]uint32
	total  uint64
	sum    time.Duration
	most   time.Duration
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucket(d)]++
	h.total++
	h.sum += d
	h.most = max(h.most, d)
}

// Merge adds what another one has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.sum += other.sum
	h.most = max(h.most, other.most)
}

// Count is how many durations there were.
func (h *Histogram) Count() uint64 { return h.total }

// Sum is the total of all durations.
func (h *Histogram) Sum() time.Duration { return h.sum }

// Max is the longest.
func (h *Histogram) Max() time.Duration { return h.most }

// Percentile is the duration that p percent did not exceed; 0 if there were none.
func (h *Histogram) Percentile(p float64) time.Duration {
	rank := uint64(float64(h.total) * p / 100)
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += uint64(n); n > 0 && seen >= max(rank, 1) {
			return min(upper(i), h.most)
		}
	}
	return h.most
}

func bucket(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us == 0 {
		return 0
	}
	octave := bits.Len64(us) - 1
	if octave >= octaves {
		return buckets - 1
	}
	part := 0
	if octave >= 2 {
		part = int(us>>(octave-2)) & (perOctave - 1)
	} else {
		part = int(us<<(2-octave)) & (perOctave - 1)
	}
	return 1 + octave*perOctave + part
}

// upper is the longest duration of a bucket.
func upper(i int) time.Duration {
	if i == 0 {
		return 0
	}
	octave, part := (i-1)/perOctave, (i-1)%perOctave
	us := (uint64(perOctave+part+1) << octave) / perOctave
	return time.Duration(us) * time.Microsecond
}
