package demo

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const chaosLog = `2026-11-30 18:17:59.959: main pid 1: WARNING:  probe node node=0 verdict=refused
2026-11-30 18:17:59.970: main pid 1: LOG:  herd: fail 0 epoch=2 phase=electing reason="x"
2026-11-30 18:17:59.971: main pid 1: LOG:  herd: fence is done node=0 epoch=2
2026-11-30 18:18:00.122: main pid 1: LOG:  herd: primary 1 timeline 2 epoch=2 phase=steady
`

// TestTimesOfTheLog checks the times of a failover's steps, some of which may be missing in the log.
func TestTimesOfTheLog(t *testing.T) {
	struck := time.Date(2026, 11, 30, 18, 17, 59, 950_000_000, time.Local)
	var r row
	r.times(chaosLog, struck)
	if *r.Detected != 20 || *r.Fenced != 21 || *r.Promoted != 172 {
		t.Errorf("detected at %v, fenced at %v, promoted at %v", *r.Detected, *r.Fenced, *r.Promoted)
	}
	kill := fault{primary: true}
	if err := noticed(chaosLog, kill, struck); err != nil {
		t.Error(err)
	}
	before, _, _ := strings.Cut(chaosLog, "2026-11-30 18:18")
	if err := noticed(before, kill, struck); err == nil {
		t.Error("a log without a promotion counts as a whole failover")
	}
	_, promoted, _ := strings.Cut(chaosLog, "epoch=2\n")
	if err := noticed(promoted, fault{primary: true, planned: true}, struck); err != nil {
		t.Errorf("a switchover, in which nothing is detected: got error %v", err)
	}
	r.times(before, struck)
	if r.Promoted != nil {
		t.Errorf("the promotion was after %v", *r.Promoted)
	}
}

// TestReport checks that medians and maxima are of the rows of their fault, and that lost commits make the demo fail, in
// both forms of the report.
func TestReport(t *testing.T) {
	var r report
	for _, ms := range []time.Duration{300, 100, 200} {
		r.Rows = append(r.Rows, row{Fault: "killed", FirstWrite: milliseconds(ms * time.Millisecond)}, row{Fault: "stopped"})
	}
	r.summarize()
	if s := r.Summary[0]; s.Runs != 3 || *s.Median["first write"] != 200 || *s.Worst["first write"] != 300 || s.Median["promoted"] != nil {
		t.Errorf("the summary is %+v", s)
	}
	var out bytes.Buffer
	if err := r.write(&out); err != nil || !strings.Contains(out.String(), "median of 3: killed") {
		t.Errorf("got error %v, report %s", err, &out)
	}
	r.Rows[1].CommitsLost = 2
	for _, form := range []func() error{func() error { return r.write(&out) }, func() error { out.Reset(); return r.writeJSON(&out) }} {
		if err := form(); err == nil || !strings.Contains(err.Error(), "2 acknowledged commits are lost") {
			t.Errorf("lost commits: got error %v", err)
		}
	}
	var back report
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || len(back.Rows) != 6 || back.Rows[1].CommitsLost != 2 {
		t.Errorf("got error %v, report read again %+v", err, back)
	}
}

// TestPause checks that the longest time without an answer is over all clients of a kind, and begins with the fault.
func TestPause(t *testing.T) {
	struck := time.Now()
	answers := func(kind string, ms ...time.Duration) *client {
		c := &client{kind: kind}
		for _, at := range ms {
			c.answers = append(c.answers, answer{got: struck.Add(at * time.Millisecond)})
		}
		return c
	}
	c := &crowd{all: []*client{answers(writing, -500, 100, 400), answers(inTransaction, 250, 900), answers(reading, 300)}}
	if got := *c.pause(struck, writing, inTransaction); got != 500 {
		t.Errorf("writes paused for %v ms, want 500", got)
	}
	if got := *c.pause(struck, reading); got != 300 {
		t.Errorf("reads paused for %v ms, want 300", got)
	}
}
