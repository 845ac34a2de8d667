package patroni

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgherd/proxy/failover"
)

// api is the REST API of a Patroni, which answers what it is told to.
type api struct {
	lock   sync.Mutex
	answer http.HandlerFunc
	*httptest.Server
}

func (a *api) set(answer http.HandlerFunc) { a.lock.Lock(); a.answer = answer; a.lock.Unlock() }

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/cluster" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
	}
}

func serve(t *testing.T, answer http.HandlerFunc) *api {
	a := &api{answer: answer}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.lock.Lock()
		answer := a.answer
		a.lock.Unlock()
		answer(w, r)
	}))
	t.Cleanup(func() { a.Server.Close() })
	return a
}

// told is a poller, and what it tells and logs.
type told struct {
	*Poller
	news chan map[int]failover.Report
	log  *strings.Builder
}

func poll(t *testing.T, s Settings) *told {
	began := time.Now()
	p := &told{news: make(chan map[int]failover.Report, 1000), log: &strings.Builder{}}
	p.Poller = New(slog.New(slog.NewTextHandler(p.log, nil)), func() time.Duration { return time.Since(began) }, time.Now,
		func(all map[int]failover.Report) { p.news <- all })
	p.Configure(&s)
	t.Cleanup(p.Close)
	return p
}

// until waits until the reports are as is says.
func (p *told) until(t *testing.T, what string, is func(map[int]failover.Report) bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case all := <-p.news:
			if is(all) {
				return
			}
		case <-limit:
			t.Fatalf("it is not told that %s; known is %+v", what, p.Answers())
		}
	}
}

func leads(node, leader int) func(map[int]failover.Report) bool {
	return func(all map[int]failover.Report) bool {
		r, ok := all[node]
		return ok && r.Leader == leader
	}
}

func settingsOf(all ...*api) Settings {
	s := Settings{Period: 10 * time.Millisecond, Timeout: 5 * time.Second}
	for i, a := range all {
		s.Nodes = append(s.Nodes, Node{Index: i, URL: a.URL, Host: pair[i].Host, Port: pair[i].Port})
	}
	return s
}

// TestPoll: a leader changes, one Patroni is lost, and comes back.
func TestPoll(t *testing.T) {
	one, two := serve(t, says(version2)), serve(t, says(version2))
	one.Start()
	two.Start()
	p := poll(t, settingsOf(one, two))
	p.until(t, "node 0 leads", leads(0, 0))
	one.set(says(version3))
	p.until(t, "node 1 leads", leads(0, 1))
	two.set(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no DCS", http.StatusServiceUnavailable) })
	p.until(t, "one does not answer", func(all map[int]failover.Report) bool { _, answers := all[1]; return !answers && len(all) == 1 })
	got := p.Answers()
	if len(got) != 2 || got[1].Err == nil || !strings.Contains(got[1].Err.Error(), "503") || got[1].Last.IsZero() || got[0].Member.Role != "sync_standby" {
		t.Errorf("known is %+v", got)
	}
	two.set(says(version3))
	p.until(t, "it answers again", leads(1, 1))
	p.Close()
	for _, text := range []string{"Patroni does not answer", "Patroni answers again"} {
		if strings.Count(p.log.String(), text) != 1 {
			t.Errorf("%q is not once in the log:\n%s", text, p.log)
		}
	}
}

// TestWake: a Patroni is asked before its time.
func TestWake(t *testing.T) {
	one := serve(t, says(version2))
	one.Start()
	s := settingsOf(one)
	s.Period = time.Hour
	p := poll(t, s)
	p.until(t, "node 0 leads", leads(0, 0))
	one.set(says(version3))
	p.Wake()
	p.until(t, "another leads", leads(0, failover.Elsewhere))
}

// TestBadAnswers: none of them is a report, and each is told with its reason.
func TestBadAnswers(t *testing.T) {
	hangs := make(chan struct{})
	defer close(hangs)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		why    string
	}{
		"an error":        {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusBadGateway) }, "it answers 502"},
		"not found":       {http.NotFound, "it answers 404"},
		"a redirection":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "it answers 302"},
		"no JSON":         {says("<html>"), "read the answer"},
		"no cluster":      {says(`{"state": "running"}`), "it is not Patroni's"},
		"no members":      {says(nobody), "it has no member at 10.0.0.1, port 5432"},
		"another cluster": {says(otherPorts), "it has no member at 10.0.0.1, port 5432"},
		"no end": {func(w http.ResponseWriter, _ *http.Request) {
			for range mostBytes/1000 + 2 {
				fmt.Fprint(w, strings.Repeat(" ", 1000))
			}
		}, "longer than"},
		"half of it": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, version2[:100])
		}, "read the answer"},
		"nothing at all": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-hangs:
			}
		}, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			one := serve(t, c.answer)
			one.Start()
			s := settingsOf(one)
			s.Timeout = 500 * time.Millisecond
			p := poll(t, s)
			if all := <-p.news; len(all) != 0 {
				t.Errorf("it is taken for %+v", all)
			}
			if got := p.Answers(); got[0].Err == nil || !strings.Contains(got[0].Err.Error(), c.why) {
				t.Errorf("why: %v", got[0].Err)
			}
		})
	}
}

// TestTLS: https is taken where the certificate is right, and else there is no answer.
func TestTLS(t *testing.T) {
	one := serve(t, says(version2))
	one.StartTLS()
	roots := x509.NewCertPool()
	roots.AddCert(one.Certificate())
	s := settingsOf(one)
	s.TLS = &tls.Config{RootCAs: roots}
	poll(t, s).until(t, "node 0 leads", leads(0, 0))
	s.TLS = nil
	p := poll(t, s)
	if all := <-p.news; len(all) != 0 || !strings.Contains(p.Answers()[0].Err.Error(), "certificate") {
		t.Errorf("%+v, %+v", all, p.Answers())
	}
}

// TestConfigure: what was said at another address is forgotten.
func TestConfigure(t *testing.T) {
	one, two := serve(t, says(version2)), serve(t, says(version3))
	one.Start()
	two.Start()
	p := poll(t, settingsOf(one))
	p.until(t, "node 0 leads", leads(0, 0))
	two.Server.Close()
	s := settingsOf(two)
	p.Configure(&s)
	p.until(t, "nobody answers", func(all map[int]failover.Report) bool { return len(all) == 0 })
	if got := p.Answers(); len(got) != 1 || !got[0].Last.IsZero() || slices.ContainsFunc(got, func(a Answer) bool { return a.Err == nil }) {
		t.Errorf("known is %+v", got)
	}
}

// TestTellingBlocks checks that a worker, which wakes the poller, never waits for who is told:
// the supervisor may wait for a disk.
func TestTellingBlocks(t *testing.T) {
	one := serve(t, says(version2))
	one.Start()
	telling, disk, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	p := New(slog.New(slog.DiscardHandler), func() time.Duration { return 0 }, time.Now, func(map[int]failover.Report) {
		select {
		case telling <- struct{}{}:
			<-disk
		case <-disk:
		}
	})
	t.Cleanup(p.Close)
	var configuring sync.WaitGroup
	t.Cleanup(configuring.Wait)
	t.Cleanup(func() { close(disk) })
	s := settingsOf(one)
	configuring.Go(func() { p.Configure(&s) })
	<-telling
	go func() {
		p.Wake()
		p.Answers()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("who wakes the poller waits for who is told")
	}
}
