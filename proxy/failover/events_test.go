package failover

import (
	"slices"
	"strconv"
	"strings"
)

// event is one thing that happens in a scenario.
func (p *play) event(words []string) {
	at := max(slices.Index(words, "sees"), slices.Index(words, "see"))
	switch {
	case at > 0:
		p.sees(p.who(words[:at]), number(words[at+1]), words[at+2:])
	case words[0] == "patroni":
		p.patroni(words[1:])
	case words[0] == "fenced":
		for _, m := range p.who(words[1:]) {
			p.progress.Fenced[m] = true
		}
	case words[0] == "licence": // a fence may be licensed for members that do not answer
		for _, m := range words[1 : len(words)-1] {
			p.progress.Fenced[m] = true
		}
	case words[0] == "answer":
		p.answers(number(words[1]), words[2:])
	case words[0] == "promoted":
		p.promoted(number(words[1]), pairs(words[2:]))
	case words[0] == "handed":
		p.progress.HandedOff, p.progress.Stopped = true, words[len(words)-1] != "uncertainly"
	case words[0] == "failed":
		p.progress.Failed = append(p.progress.Failed, Failure{Action(words[1]), number(words[2]), strings.Join(words[3:], " ")})
	case words[0] == "running":
		p.progress.Running = append(p.progress.Running, Deed{Action(words[1]), number(words[2])})
	case words[0] == "ended":
		p.progress.Running = slices.DeleteFunc(p.progress.Running, func(r Deed) bool { return r == Deed{Action(words[1]), number(words[2])} })
	case words[0] == "operator":
		p.operator(words[1:])
	case words[0] == "leader":
		p.herd = copied(p.herd)
		p.forget()
	case words[0] == "unmet", words[0] == "met":
		p.unmet = words[0] == "unmet"
	case words[0] == "restart":
		p.restart()
	case words[0] == "nodes":
		p.line(words, "")
	case words[0] == "clock":
		p.jumped += duration(words[1])
	case len(words) == 2 && words[1] == "gone", len(words) == 2 && words[1] == "back":
		p.gone[words[0]] = words[1] == "gone"
	default:
		p.fault("what happens when %q?", words)
	}
}

// patroni reads "of 0 1 says 1 timeline 4 paused", "of all says nobody", "of 2 fails".
func (p *play) patroni(words []string) {
	p.set.Patroni = true
	verb := max(slices.Index(words, "says"), slices.Index(words, "fails"))
	asked := words[1:verb]
	if slices.Equal(asked, []string{"all"}) {
		asked = nil
		for _, n := range p.set.Nodes {
			asked = append(asked, strconv.Itoa(n.Index))
		}
	}
	for _, n := range numbers(asked) {
		delete(p.reports, n)
		if words[verb] == "says" {
			r := reportOf(words[verb+1:], p.herd.Timeline)
			r.Heard = p.now + p.jumped
			p.reports[n] = r
		}
	}
}

func reportOf(words []string, timeline uint32) Report {
	r := Report{Leader: None, Timeline: timeline, Paused: slices.Contains(words, "paused")}
	switch first := words[0]; {
	case first == "nobody":
	case first == "standby":
		r.Name = "a" // of a standby cluster
	case first[0] <= '9':
		r.Leader, r.Name = number(first), "pg"+first
	default:
		r.Leader, r.Name = Elsewhere, first
	}
	if at := slices.Index(words, "timeline"); at > 0 {
		r.Timeline = uint32(number(words[at+1]))
	}
	return r
}

func (p *play) who(words []string) []string {
	if slices.Equal(words, []string{"all"}) {
		return p.set.Members
	}
	return words
}

var verdicts = map[string]Verdict{
	"primary": IsPrimary, "standby": IsStandby, "refused": Refused, "silent": Silent, "starting": Starting, "stopping": ShuttingDown,
	"full": Full, "password": WrongPassword, "unresolved": Unresolved, "foreign": WrongCluster, "failing": Failing,
}

// sees is what members see of a node. What the words do not say is as in a healthy herd; a node that
// does not answer keeps what it said last. It counts as dead unless a number of probes is given.
func (p *play) sees(members []string, n int, words []string) {
	verdict, known := verdicts[words[0]]
	if !known {
		p.fault("there is no verdict %q", words[0])
	}
	for _, m := range members {
		if p.sights[m] == nil {
			p.sights[m] = map[int]Sight{}
		}
		v := p.sights[m][n]
		if verdict != v.Verdict {
			v.For = 0
		}
		if verdict == IsPrimary || verdict == IsStandby {
			v = p.answer(n, verdict, v)
		}
		v.Verdict, v.Times, v.Heard = verdict, 2, p.now+p.jumped
		p.sights[m][n] = v.told(words[1:])
	}
}

func (p *play) answer(n int, verdict Verdict, before Sight) Sight {
	v := Sight{Verdict: verdict, System: system, Timeline: p.herd.Timeline, Received: position, Replayed: position,
		For: before.For, Upstream: None, Connected: []int{}}
	if verdict == IsPrimary {
		v.Sync = &p.herd.Sync
		if n != p.herd.Primary {
			v.Sync = nil
		}
		for _, of := range p.herd.Nodes {
			if of.Status == Up && of.Index != n {
				v.Connected = append(v.Connected, of.Index)
			}
		}
		return v
	}
	v.Upstream, v.Streaming = p.herd.Primary, true
	if before.Streaming {
		v.StreamingFor = before.StreamingFor
	}
	return v
}

func (v Sight) told(words []string) Sight {
	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		list := func() (all []int) { // the numbers up to the next word
			for i+1 < len(words) && words[i+1][0] <= '9' {
				i++
				all = append(all, number(words[i]))
			}
			return all
		}
		switch w := words[i]; w {
		case "for":
			v.For, i = duration(next), i+1
		case "timeline":
			v.Timeline, i = uint32(number(next)), i+1
		case "system":
			v.System, i = lsnOf(next), i+1
		case "at":
			v.Received, i = lsnOf(next), i+1
		case "from":
			v.Upstream, i = map[string]int{"nobody": None, "elsewhere": Elsewhere}[next], i+1
			if next[0] <= '9' {
				v.Upstream = number(next)
			}
		case "streaming", "broken":
			v.Streaming, v.StreamingFor = w == "streaming", 0
			if next != "" && next[0] <= '9' {
				v.StreamingFor, i = duration(next), i+1
			}
		case "connected":
			v.Connected = list()
		case "sync":
			v.Sync = syncSet(words[i+1:])
			return v
		case "shutdown":
			v.Shutdown = true
		default:
			v.Times = number(strings.TrimPrefix(w, "x"))
		}
	}
	return v
}

// syncSet reads "none", "any 1 of 1 2" and "first 1 of 1 barman".
func syncSet(words []string) *SyncSet {
	if words[0] == "none" {
		return &SyncSet{}
	}
	s := SyncSet{First: words[0] == "first", K: number(words[1])}
	for _, w := range words[3:] {
		s.Names = append(s.Names, w)
		if w[0] <= '9' {
			s.Nodes = append(s.Nodes, number(w))
		}
	}
	return &s
}

func (p *play) answers(n int, words []string) {
	a := Answer{Revoked: true, System: system, Timeline: p.herd.Timeline, Received: position}
	if words = slices.Clone(words); slices.Contains(words, "paused") {
		a.Paused = true
		words = slices.DeleteFunc(words, func(w string) bool { return w == "paused" })
	}
	if slices.Contains(words, "receiving") {
		a.Revoked = false
		words = slices.DeleteFunc(words, func(w string) bool { return w == "receiving" })
	}
	of := pairs(slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "cascading" }))
	if at, ok := of["at"]; ok {
		a.Received = lsnOf(at)
	}
	a.Replayed = a.Received
	if at, ok := of["replayed"]; ok {
		a.Replayed = lsnOf(at)
	}
	if of["timeline"] != "" {
		a.Timeline = uint32(number(of["timeline"]))
	}
	if of["system"] != "" {
		a.System = lsnOf(of["system"])
	}
	p.progress.Answers[n] = a
	if !a.Revoked || slices.Contains(words, "cascading") {
		return
	}
	for _, m := range p.set.Members { // the members also see that it receives no more
		if v := p.sights[m][n]; v.Verdict == IsStandby {
			v.Upstream, v.Streaming, v.StreamingFor = None, false, 0
			p.sights[m][n] = v
		}
	}
}

func (p *play) promoted(n int, of map[string]string) {
	p.progress.Promoted = &Promoted{Node: n, System: system, Timeline: p.herd.Timeline + 1}
	if of["timeline"] != "" {
		p.progress.Promoted.Timeline = uint32(number(of["timeline"]))
	}
	for _, m := range p.set.Members { // the members also see it so
		if p.sights[m] != nil && !p.gone[m] {
			v := p.answer(n, IsPrimary, Sight{})
			v.Timeline, v.Heard, v.Times, v.Connected, v.Sync = p.progress.Promoted.Timeline, p.now+p.jumped, 2, []int{}, &p.herd.Sync
			p.sights[m][n] = v
		}
	}
}

// operator proposes an operator's command: "detach 1", "attach 1", "drain 2", "undo", "candidate 2",
// "stale down 1".
func (p *play) operator(words []string) {
	c := Command{Epoch: p.herd.Epoch, Node: None, By: "ann", Reason: "an operator wants it"}
	if words[0] == "stale" {
		c.Epoch, words = c.Epoch-1, words[1:]
	}
	c.Kind = Kind(words[0])
	if len(words) > 1 {
		c.Node = number(words[1])
	}
	p.apply(c)
}

// settings reads settings such as "restart_grace=30s".
func (p *play) settings(words []string) {
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		on := value == "on"
		switch name {
		case "script": // with follow_primary_command, or without
			p.set.Commands.Promote, p.set.Commands.Follow = true, value == "follows"
		case "follow_primary_command":
			p.set.Commands.Follow = on
		case "failover_on_backend_error":
			p.set.OnError = on
		case "failover_on_backend_shutdown":
			p.set.OnShutdown = on
		case "restart_grace":
			p.set.RestartGrace = duration(value)
		case "health_check_max_retries":
			for i := range p.set.Nodes {
				p.set.Nodes[i].Retries = number(value)
			}
		case "disallow_to_failover":
			p.set.Nodes[slices.IndexFunc(p.set.Nodes, func(n NodeSettings) bool { return n.Index == number(value) })].Keep = true
		case "auto_failback":
			p.set.AutoFailback = on
		case "auto_failback_interval":
			p.set.AutoFailbackAfter = duration(value)
		case "failover_require_consensus":
			p.set.Consensus = on
		case "enable_consensus_with_half_votes":
			p.set.HalfVotes = on
		case "allow_multiple_failover_requests_from_node":
			p.set.RepeatedVotes = on
		case "failover_data_loss":
			p.set.AllowLoss = value == "allow"
		case "failover_candidates":
			p.set.Candidates = numbers(strings.Split(value, ","))
		case "search_primary_node_timeout":
			p.set.SearchPrimaryWithin = duration(value)
		default:
			p.fault("there is no setting %q", name)
		}
	}
}
