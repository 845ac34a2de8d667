// Package patroni asks the REST API of Patroni, of each node again and again, what it says
// of its cluster (GET /cluster), and tells that. It decides nothing, and changes nothing in
// Patroni. Who is to be believed where answers differ is a rule of package failover.
package patroni

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"pgherd/proxy/failover"
)

// Node is a node, and where its Patroni answers.
type Node struct {
	Index  int
	URL    string // http://host:8008
	Host   string // of its PostgreSQL, by which it is found among the members
	Port   int
	Member string // its name in Patroni; "": it is found by host and port
}

// Settings of the asking; values.
type Settings struct {
	Nodes   []Node
	Period  time.Duration // between two questions to a Patroni
	Timeout time.Duration // of one
	TLS     *tls.Config   // for https
}

// Answer is what is known of the Patroni of a node.
type Answer struct {
	Node      int
	URL       string
	Since     time.Time        // since when it answers, or does not
	Last      time.Time        // when it was asked for the last answer; zero: there was none
	Err       error            // why there is no answer now; nil: there is one
	Report    *failover.Report // the answer now; nil: there is none
	Member    Member           // what it says of its own node
	Asked     bool             // at all
	Strangers []string         // members that are no nodes of pgherd's
}

// mostBytes is the longest answer that is read: a cluster of a hundred members has a tenth
// of it.
const mostBytes = 1 << 20

// Poller asks until Close.
type Poller struct {
	log   *slog.Logger
	clock func() time.Duration // that of failover.Report.Heard
	now   func() time.Time
	tell  func(map[int]failover.Report)

	telling sync.Mutex // one is told at a time, and the newest last; taken before lock

	lock     sync.Mutex // guards what follows; never held while asking or telling, because a worker waits for it
	settings *Settings
	answers  map[int]Answer
	wakes    []chan struct{}
	cancel   context.CancelFunc
	asking   sync.WaitGroup
}

// New makes a poller; Configure starts it. tell is told of all that answer whenever one was
// asked, by its node, on any goroutine, one at a time.
func New(log *slog.Logger, clock func() time.Duration, now func() time.Time, tell func(map[int]failover.Report)) *Poller {
	return &Poller{log: log, clock: clock, now: now, tell: tell, answers: map[int]Answer{}}
}

// Configure begins, or goes on, with these settings. Each Patroni is asked once before it
// returns, which takes at most the settings' Timeout.
func (p *Poller) Configure(s *Settings) {
	p.Close()
	ctx, cancel := context.WithCancel(context.Background())
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: s.TLS, MaxIdleConnsPerHost: 1, IdleConnTimeout: 2 * s.Period},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	p.lock.Lock()
	p.settings, p.cancel, p.wakes = s, cancel, nil
	for index, a := range p.answers {
		if !slices.ContainsFunc(s.Nodes, func(n Node) bool { return n.Index == index && n.URL == a.URL }) {
			delete(p.answers, index)
		}
	}
	p.lock.Unlock()
	var first sync.WaitGroup
	for i := range s.Nodes {
		first.Go(func() { p.ask(ctx, client, s, &s.Nodes[i]) })
	}
	first.Wait()
	for i := range s.Nodes {
		wake := make(chan struct{}, 1)
		p.lock.Lock()
		p.wakes = append(p.wakes, wake)
		p.lock.Unlock()
		p.asking.Go(func() { p.watch(ctx, client, s, &s.Nodes[i], wake) })
	}
}

// Close ends the asking.
func (p *Poller) Close() {
	p.lock.Lock()
	cancel := p.cancel
	p.lock.Unlock()
	if cancel != nil {
		cancel()
		p.asking.Wait()
	}
}

// Wake has all Patronis asked now, because a node may be lost. It is cheap, and any thread
// may call it.
func (p *Poller) Wake() {
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, wake := range p.wakes {
		select {
		case wake <- struct{}{}:
		default: // it is about to be asked
		}
	}
}

// leastPause is the pause between two questions to a Patroni, however often Wake is called:
// it asks the DCS for each.
const leastPause = 250 * time.Millisecond

func (p *Poller) watch(ctx context.Context, client *http.Client, s *Settings, n *Node, wake <-chan struct{}) {
	defer client.CloseIdleConnections()
	for {
		select {
		case <-time.After(leastPause):
		case <-ctx.Done():
			return
		}
		period := time.NewTimer(s.Period)
		select {
		case <-period.C:
		case <-wake:
		case <-ctx.Done():
		}
		period.Stop()
		p.ask(ctx, client, s, n)
	}
}

// ask asks one Patroni, and tells what all have said.
func (p *Poller) ask(ctx context.Context, client *http.Client, s *Settings, n *Node) {
	if p.askOne(ctx, client, s, n) {
		p.told()
	}
}

// told tells what all have said. Who is told may wait for a disk.
func (p *Poller) told() {
	p.telling.Lock()
	defer p.telling.Unlock()
	p.tell(p.reports())
}

// askOne asks one Patroni and notes what it says; false: the asking has ended.
func (p *Poller) askOne(ctx context.Context, client *http.Client, s *Settings, n *Node) bool {
	limited, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	began, at := p.clock(), p.now()
	c, err := get(limited, client, n.URL)
	if ctx.Err() != nil {
		return false
	}
	var own *Member
	if err == nil {
		own, err = c.member(n)
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	before := p.answers[n.Index]
	a := Answer{Node: n.Index, URL: n.URL, Since: before.Since, Last: before.Last, Err: err, Asked: true}
	if !before.Asked || (before.Err == nil) != (err == nil) {
		a.Since = at
	}
	if err == nil {
		r := c.report(s.Nodes)
		r.Heard, a.Last, a.Report, a.Member = began, at, &r, *own
		a.Strangers = c.strangers(s.Nodes)
	}
	p.answers[n.Index] = a
	p.note(&before, &a)
	return true
}

// note logs what is new.
func (p *Poller) note(before, a *Answer) {
	switch {
	case a.Err != nil && (before.Err == nil || !before.Asked):
		p.log.Warn("Patroni does not answer", "node", a.Node, "url", a.URL, "error", a.Err)
	case a.Err == nil && before.Err != nil:
		p.log.Info("Patroni answers again", "node", a.Node, "url", a.URL, "without_answer", a.Since.Sub(before.Since).Round(time.Second))
	}
	if len(a.Strangers) > 0 && !slices.Equal(a.Strangers, before.Strangers) {
		p.log.Info("Patroni has members that are no nodes of pgherd's", "node", a.Node, "members", strings.Join(a.Strangers, ", "))
	}
}

// reports are the answers of now, by node.
func (p *Poller) reports() map[int]failover.Report {
	p.lock.Lock()
	defer p.lock.Unlock()
	all := map[int]failover.Report{}
	for index, a := range p.answers {
		if a.Report != nil {
			all[index] = *a.Report
		}
	}
	return all
}

// Answers is what is known of each Patroni now, in the order of the settings.
func (p *Poller) Answers() (all []Answer) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.settings == nil {
		return nil
	}
	for _, n := range p.settings.Nodes {
		if a, known := p.answers[n.Index]; known {
			all = append(all, a)
		}
	}
	return all
}

var errLong = fmt.Errorf("it is longer than %d bytes", mostBytes)

// get asks for the cluster.
func get(ctx context.Context, client *http.Client, url string) (c cluster, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/cluster", nil)
	if err != nil {
		return c, err
	}
	response, err := client.Do(request)
	if err != nil {
		return c, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return c, errors.New("it answers " + response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, mostBytes+1))
	switch {
	case err != nil:
		return c, fmt.Errorf("read the answer: %w", err)
	case len(text) > mostBytes:
		return c, fmt.Errorf("read the answer: %w", errLong)
	}
	return parse(text)
}
