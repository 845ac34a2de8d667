package failover

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A scenario is a file of testdata, whose README explains the words. All that is proposed or to be
// carried out must be expected, in order.

const (
	mostMoments = 30            // commands at one moment; more of them are a loop
	longAgo     = 1 * time.Hour // the time for which all was well before a scenario begins
	position    = uint64(0x100) // the position of all nodes then
	scenarios   = "testdata/*.txt"
)

// decider is Decide, or a mutant of it.
type decider func(Herd, Input, Settings) Step

// play is a scenario that is being run.
type play struct {
	name    string
	decide  decider
	set     Settings
	herd    Herd
	began   Herd // the herd before the first moment
	started bool

	now, jumped time.Duration
	sights      map[string]map[int]Sight
	reports     map[int]Report
	gone        map[string]bool
	unmet       bool
	progress    Progress
	phaseSince  time.Duration
	askedSince  time.Duration
	emitted     map[string]bool

	done   []line // what has happened since the last expectation
	waits  string
	wrong  []string
	taken  []Command  // all commands that were applied, for the replay
	asked  []question // all decisions that were asked for, for the replay
	number int

	restarted, ended bool
}

type line struct{ what, why string }

type question struct {
	Herd     Herd
	Input    Input
	Settings Settings
	Step     Step
}

func newPlay(name string, decide decider) *play {
	p := &play{name: name, decide: decide, herd: New(), sights: map[string]map[int]Sight{}, reports: map[int]Report{}, gone: map[string]bool{}}
	p.set = Settings{Members: []string{"h1"}, OnError: true, RestartGrace: 10 * time.Second, AutoFailbackAfter: time.Minute,
		Votes: Votes{Consensus: true}, SearchPrimaryWithin: 5 * time.Minute}
	p.forget()
	return p
}

// forget resets what was carried out, as far as a new leader does not know it.
func (p *play) forget() {
	p.progress, p.emitted = Progress{Epoch: p.herd.Epoch, Fenced: map[string]bool{}, Answers: map[int]Answer{}}, map[string]bool{}
	p.phaseSince, p.askedSince = p.now, -1
	if !p.started {
		p.phaseSince = -longAgo
	}
}

func (p *play) fault(format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Sprintf("%s:%d: ", p.name, p.number)+fmt.Sprintf(format, args...))
}

// run plays a file, and returns a play with the differences from it.
func run(name, text string, decide decider) *play {
	p := newPlay(name, decide)
	for each := range strings.SplitSeq(text, "\n") {
		p.number++
		each, _, _ = strings.Cut(each, "#")
		if words := strings.Fields(each); len(words) > 0 {
			p.line(words, strings.TrimSpace(each))
		}
	}
	if !p.ended {
		p.fault("the scenario has no end")
	}
	return p
}

func (p *play) line(words []string, text string) {
	switch words[0] {
	case "members":
		p.set.Members = words[1:]
	case "settings":
		p.settings(words[1:])
	case "nodes":
		p.set.Nodes = nil
		for _, n := range numbers(words[1:]) {
			p.set.Nodes = append(p.set.Nodes, NodeSettings{Index: n})
		}
	case "herd":
		p.startHerd(words[1:])
	case "sync":
		p.herd.Sync = *syncSet(words[1:])
	case "before":
		p.herd.Before, p.herd.ChangedAt = append(p.herd.Before, *syncSet(words[1:])), position
	case "file": // the herd is read from a status file
		p.restart()
	case "unseen":
		p.started = true
	case "at":
		p.moment(words[1:])
	case "=>":
		p.expect(text)
	case "waits:":
		if want := strings.TrimSpace(strings.TrimPrefix(text, "waits:")); !strings.Contains(p.waits, want) || want == "" {
			p.fault("waits for %q", p.waits)
		}
	case "seen":
		p.expectSeen(words[1], strings.Join(words[2:], " "))
	case "end":
		p.end(strings.Join(words[1:], " "))
	default:
		p.fault("what does %q mean?", words[0])
	}
}

// startHerd reads "epoch 7 primary 0 timeline 3 nodes 0 up 1 up 2 down".
func (p *play) startHerd(words []string) {
	at := slices.Index(words, "nodes")
	of := pairs(words[:at])
	p.herd.Epoch, p.herd.Primary, p.herd.Timeline, p.herd.System = uint64(number(of["epoch"])), number(of["primary"]), uint32(number(of["timeline"])), system
	p.set.Nodes = nil
	for i := at + 1; i+1 < len(words); i += 2 {
		n := Node{Index: number(words[i]), Status: Status(words[i+1]), Timeline: p.herd.Timeline}
		if n.Status == Detached {
			n.By = "ann"
		}
		p.herd.Nodes = append(p.herd.Nodes, n)
		p.set.Nodes = append(p.set.Nodes, NodeSettings{Index: n.Index})
	}
	p.forget()
}

// allIsWell is what all members see when a scenario begins: every node that is up is well.
func (p *play) allIsWell() {
	p.started = true
	lead := Sight{Verdict: IsPrimary, Connected: []int{}, Sync: &p.herd.Sync, Upstream: None}
	for _, n := range p.herd.Nodes {
		if n.Status == Up && n.Index != p.herd.Primary {
			lead.Connected = append(lead.Connected, n.Index)
		}
	}
	for _, m := range p.set.Members {
		p.sights[m] = map[int]Sight{}
		for _, n := range p.herd.Nodes {
			v := Sight{Verdict: IsStandby, Upstream: p.herd.Primary, Streaming: true, Replayed: position}
			if n.Index == p.herd.Primary {
				v = lead
			}
			v.Times, v.For, v.StreamingFor, v.System, v.Timeline, v.Received = 9, longAgo, longAgo, system, p.herd.Timeline, position
			if n.Status == Up {
				p.sights[m][n.Index] = v
			}
		}
	}
}

// moment reads "at 1.2s", with an event or without, and decides then.
func (p *play) moment(words []string) {
	if !p.started {
		p.allIsWell()
	}
	p.settle()
	if p.began.Phase == "" {
		p.began = copied(p.herd)
	}
	now := duration(words[0])
	for _, m := range p.set.Members { // members that are there go on reporting
		for n, v := range p.sights[m] {
			if !p.gone[m] {
				v.For, v.StreamingFor, v.Heard = v.For+now-p.now, v.StreamingFor+now-p.now, now+p.jumped
				p.sights[m][n] = v
			}
		}
	}
	for n, r := range p.reports {
		r.Heard = now + p.jumped
		p.reports[n] = r
	}
	p.now, p.waits = now, ""
	for _, event := range strings.Split(strings.Join(words[1:], " "), ";") {
		if words := strings.Fields(event); len(words) > 0 {
			p.event(words)
		}
	}
	p.decideAll()
}

// settle reports what was done and not expected.
func (p *play) settle() {
	for _, l := range p.done {
		p.fault("not expected: => %s | %s", l.what, l.why)
	}
	p.done = nil
}

func (p *play) expect(text string) {
	want, why, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(text, "=>")), " | ")
	if len(p.done) == 0 {
		p.fault("does not happen: %s (waits for %q)", want, p.waits)
		return
	}
	if got := p.done[0]; got.what != strings.TrimSpace(want) || !strings.Contains(got.why, strings.TrimSpace(why)) {
		p.fault("it is: => %s | %s", got.what, got.why)
	}
	p.done = p.done[1:]
}

func (p *play) expectSeen(member, want string) {
	nodes := Seen(p.herd, p.sights[member], p.set)
	if got := statuses(nodes); got != want {
		p.fault("%s sees %s", member, got)
	}
}

func statuses(nodes []Node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, fmt.Sprintf("%d %s", n.Index, n.Status))
	}
	return strings.Join(all, ", ")
}

func (p *play) end(want string) {
	p.settle()
	p.ended = true
	got := fmt.Sprintf("%s epoch %d", p.herd.Phase, p.herd.Epoch)
	if p.herd.Primary != None {
		got += fmt.Sprintf(" primary %d timeline %d", p.herd.Primary, p.herd.Timeline)
	}
	if got += "; " + statuses(p.herd.Nodes); strings.TrimSpace(got) != want {
		p.fault("the end is: %s", got)
	}
}

// decideAll decides until there is nothing more to propose.
func (p *play) decideAll() {
	for range mostMoments {
		p.progress.Lasted = p.now - p.phaseSince
		if p.askedSince >= 0 {
			p.progress.Asked = p.now - p.askedSince
		}
		in := Input{Now: p.now + p.jumped, Sights: p.sights, Progress: p.progress, Reports: p.reports, Unmet: p.unmet}
		step := p.decide(copied(p.herd), copied(in), copied(p.set))
		p.asked = append(p.asked, copied(question{p.herd, in, p.set, step}))
		p.waits = step.Waits
		if step.Propose == nil {
			p.carryOut(step.Acts)
			return
		}
		p.apply(*step.Propose)
	}
	p.fault("%d commands at one moment", mostMoments)
}

func (p *play) apply(c Command) {
	before := p.herd
	h, err := Apply(p.herd, c)
	if err != nil {
		p.done = append(p.done, line{"refused", err.Error()})
		return
	}
	p.herd, p.taken = h, append(p.taken, c)
	p.done = append(p.done, line{c.String(), c.Reason})
	if h.Epoch != before.Epoch {
		p.forget()
	}
	if h.Phase != before.Phase {
		p.phaseSince = p.now
	}
}

// carryOut records the acts that were not asked for yet; those of one kind are in one line.
func (p *play) carryOut(acts []Act) {
	last := ""
	for _, a := range acts {
		prefix, word := fmt.Sprint(a.Do), fmt.Sprint(a.Node)
		switch {
		case a.Do == Fence:
			prefix, word = fmt.Sprintf("fence %d on", a.Node), a.Member
		case a.Do == Demote || a.Do == Follow || a.Do == Rejoin:
			word = fmt.Sprintf("%d to %d", a.Node, a.Upstream)
		}
		if p.emitted[prefix+word] {
			continue
		}
		p.emitted[prefix+word] = true
		if (a.Do == Revoke || a.Do == AskPosition) && p.askedSince < 0 {
			p.askedSince = p.now
		}
		if prefix == last {
			p.done[len(p.done)-1].what += " " + word
			continue
		}
		p.done, last = append(p.done, line{prefix + " " + word, a.Reason}), prefix
	}
}

// restart keeps only what a status file keeps.
func (p *play) restart() {
	file, err := json.Marshal(p.herd)
	if err == nil {
		p.herd, err = Load(file)
	}
	if err != nil {
		p.fault("%v", err)
	}
	p.sights, p.started, p.restarted = map[string]map[int]Sight{}, true, true
	p.forget()
}

func copied[T any](v T) (c T) {
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		panic(err)
	}
	return c
}

func number(text string) int { return int(lsnOf(text)) }

func numbers(words []string) (all []int) {
	for _, w := range words {
		all = append(all, number(w))
	}
	return all
}

// lsnOf reads positions such as 12 and 0/1A0.
func lsnOf(text string) uint64 {
	high, low, isLSN := strings.Cut(text, "/")
	if !isLSN {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	h, err := strconv.ParseUint(high, 16, 32)
	l, err2 := strconv.ParseUint(low, 16, 32)
	if err != nil || err2 != nil {
		panic(text)
	}
	return h<<32 | l
}

func duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return d
}

func pairs(words []string) map[string]string {
	all := map[string]string{}
	for i := 0; i+1 < len(words); i += 2 {
		all[words[i]] = words[i+1]
	}
	return all
}

func files(t *testing.T) map[string]string {
	names, err := filepath.Glob(scenarios)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".txt")] = string(text)
	}
	return all
}
