package observe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// found is how long after a cut something was.
type found struct {
	asked   []time.Duration // the probe that found the silence began
	verdict []time.Duration // and had waited long enough
}

// BenchmarkSilentCut measures how soon pgherd finds that a standby is silent from which a client
// reads all the time, with health_check_period and health_check_timeout of one second: without BPF,
// with it, and with it and a shorter rto_min on the route, in turn. It prints medians and the worst,
// in milliseconds.
func BenchmarkSilentCut(b *testing.B) {
	measureCuts(b, time.Second, []mode{
		{"off", "off", kernelPatience},
		{"on", "on", kernelPatience},
		{"on-rto_min-20", "on", 20 * time.Millisecond},
	})
}

// BenchmarkSilentCutShortTimeout measures the same with a health_check_timeout of 250 ms.
func BenchmarkSilentCutShortTimeout(b *testing.B) {
	measureCuts(b, 250*time.Millisecond, []mode{
		{"off", "off", kernelPatience},
		{"auto", "auto", kernelPatience},
		{"auto-rto_min-20", "auto", 20 * time.Millisecond},
	})
}

// mode is a way to find a silent node: bpf of the configuration, and how long the kernel waits for an acknowledgement.
type mode struct {
	name, bpf string
	patience  time.Duration
}

const kernelPatience = 200 * time.Millisecond // by default

// measureCuts cuts the link b.N times in each mode, in turn.
func measureCuts(b *testing.B, timeout time.Duration, modes []mode) {
	b.Helper()
	if !permitted(b) {
		b.Fatal("BPF is not permitted here, so there is nothing to compare")
	}
	h := herdtest.Start(b, herd.Settings{Standbys: 1})
	c := newCable(b)
	all := h.Nodes()
	all[1] = relay(b, c, all[1])
	measured := map[string]*found{}
	for range b.N {
		for _, mode := range modes {
			if measured[mode.name] == nil {
				measured[mode.name] = &found{}
			}
			c.patience(b, mode.patience)
			measured[mode.name].add(b, c, all, mode.bpf, timeout)
		}
	}
	b.ReportMetric(0, "ns/op")
	for mode, f := range measured {
		for what, times := range map[string][]time.Duration{"asked": f.asked, "verdict": f.verdict} {
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Milliseconds()), fmt.Sprintf("bpf-%s-%s-median-ms", mode, what))
			b.ReportMetric(float64(times[len(times)-1].Milliseconds()), fmt.Sprintf("bpf-%s-%s-worst-ms", mode, what))
		}
	}
}

// add cuts the link once.
func (f *found) add(b *testing.B, c *cable, all []herd.Node, bpf string, timeout time.Duration) {
	b.Helper()
	p, err := herd.StartProxy(b.Context(), herd.ProxySettings{Binary: binary, Nodes: all, Config: "bpf = " + bpf +
		"\nlog_min_messages = debug1\nbackend_weight0 = 0\nhealth_check_timeout = " + strconv.FormatInt(timeout.Milliseconds(), 10) + "ms\nfailover_mode = internal\nsr_check_database = 'postgres'"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := p.Stop(); err != nil {
			b.Error(err)
		}
	}()
	reader := readerOf(b, p)
	reading, stop := context.WithCancel(b.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for reading.Err() == nil {
			_, _ = herdtest.Ask(reader, "SELECT 1")
			time.Sleep(5 * time.Millisecond)
		}
	}()
	time.Sleep(2*time.Second + rand.N(time.Second)) // at any time between two checks
	mend := c.cut(b)
	began := time.Now()
	var at time.Time
	for at.IsZero() {
		time.Sleep(20 * time.Millisecond)
		at = verdictIn(b, p.Log(), began)
	}
	mend(b)
	stop()
	<-over
	f.verdict = append(f.verdict, at.Sub(began))
	f.asked = append(f.asked, at.Sub(began)-timeout)
}

// readerOf is a client whose reads go to the standby, which they do once pgherd has found it.
func readerOf(b *testing.B, p *herd.Proxy) (reader *pgconn.PgConn) {
	b.Helper()
	limit := time.Now().Add(herdtest.SettleLimit)
	for time.Now().Before(limit) {
		reader = connect(b, p)
		if _, err := herdtest.Ask(reader, "SELECT 1"); err == nil && table(b, reader, "SHOW POOL_NODES")[1]["select_cnt"] != "0" {
			return reader
		}
		herdtest.Close(reader)
		time.Sleep(herdtest.PollEvery)
	}
	b.Fatal("no read goes to the standby")
	return nil
}

// silent is what the log says of a node that does not answer.
var silent = regexp.MustCompile(`(?m)^(\S+ \S+): .*probe node node=1 verdict=silent`)

// verdictIn is when the log says that the standby is silent; zero: not yet.
func verdictIn(b *testing.B, log string, since time.Time) time.Time {
	b.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		b.Fatal(err)
	}
	for _, line := range silent.FindAllSubmatch(text, -1) {
		at, err := time.ParseInLocation("2006-01-02 15:04:05.000", string(line[1]), time.Local)
		if err != nil {
			b.Fatal(err)
		}
		if at.After(since) {
			return at
		}
	}
	return time.Time{}
}
