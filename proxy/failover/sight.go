package failover

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Verdict is what a member's last probe of a node said.
type Verdict string

// The verdicts. Only Refused and Silent can mean death.
const (
	IsPrimary     Verdict = "primary"        // it answered, and is not in recovery
	IsStandby     Verdict = "standby"        // it answered, and is in recovery
	Refused       Verdict = "refused"        // nobody listens
	Silent        Verdict = "silent"         // no answer by the deadline
	Starting      Verdict = "starting"       // 57P03: starting up, also crash recovery
	ShuttingDown  Verdict = "shutting down"  // 57P03, or 57P01 told to its clients
	Full          Verdict = "full"           // class 53: too many clients, out of memory, disk full
	WrongPassword Verdict = "wrong password" // class 28
	Unresolved    Verdict = "unresolved"     // its name has no address
	WrongCluster  Verdict = "wrong cluster"  // another system identifier
	Failing       Verdict = "failing"        // it answered with any other error
)

// Sight is what one member sees of one node. What the node told of itself is kept from
// its last answer, also in the sight of one that died.
type Sight struct {
	Verdict  Verdict       `json:"verdict"`
	Times    int           `json:"times"`              // probes in a row with this verdict
	For      time.Duration `json:"for"`                // how long it stands, by the member's own clock
	Heard    time.Duration `json:"heard"`              // when the leader was told, by the clock of Input.Now
	Shutdown bool          `json:"shutdown,omitempty"` // its clients were told 57P01 before it went

	System       uint64        `json:"system,omitempty,string"`
	Timeline     uint32        `json:"timeline,omitempty"`      // that it writes, or receives
	Received     uint64        `json:"received,omitempty"`      // of a primary: what it has written
	Replayed     uint64        `json:"replayed,omitempty"`      // of a standby
	Upstream     int           `json:"upstream"`                // the node that it is told to receive from; None: nobody; Elsewhere
	Streaming    bool          `json:"streaming,omitempty"`     // it receives now
	StreamingFor time.Duration `json:"streaming_for,omitempty"` // how long Streaming is what it is
	Connected    []int         `json:"connected,omitempty"`     // of a primary: the nodes that stream from it, read no later than Received
	Sync         *SyncSet      `json:"sync,omitempty"`          // of a primary
}

// Elsewhere is the upstream that is no node of ours.
const Elsewhere = -2

func (s Sight) answered() bool { return s.Verdict == IsPrimary || s.Verdict == IsStandby }

// Input is all that a decision looks at beside the herd.
type Input struct {
	Now      time.Duration            `json:"now"` // on a clock that is never set (CLOCK_BOOTTIME)
	Sights   map[string]map[int]Sight `json:"sights"`
	Progress Progress                 `json:"progress"`
	Reports  map[int]Report           `json:"reports,omitempty"` // by the node whose Patroni was asked
	// Unmet says that the herd's primary has not answered anybody since this pgherd started: all may have been switched on at once.
	Unmet bool `json:"unmet,omitempty"`
}

// Settings are the operator's.
type Settings struct {
	Members []string       `json:"members"` // the names of all pgherds, the absent ones too; one when alone
	Nodes   []NodeSettings `json:"nodes"`   // by index

	OnError           bool          `json:"failover_on_backend_error"`
	OnShutdown        bool          `json:"failover_on_backend_shutdown"`
	RestartGrace      time.Duration `json:"restart_grace"`
	AutoFailback      bool          `json:"auto_failback"`
	AutoFailbackAfter time.Duration `json:"auto_failback_interval"`
	Votes
	AllowLoss           bool          `json:"failover_data_loss_allow"` // failover_data_loss = allow
	Candidates          []int         `json:"failover_candidates"`
	SearchPrimaryWithin time.Duration `json:"search_primary_node_timeout"` // then an operator is called; 0: never
	SightsLast          time.Duration `json:"sights_last"`                 // older ones count for nothing; 0: sightsLast
	Commands            Commands      `json:"commands"`
	Patroni             bool          `json:"patroni,omitempty"`      // Patroni promotes, and pgherd does as it says
	ReportsLast         time.Duration `json:"reports_last,omitempty"` // as SightsLast; 0: reportsLast
}

// Commands says what commands of the operator's do.
type Commands struct {
	Promote bool `json:"promote,omitempty"` // failover_mode = script: they alone promote, and change nodes
	Follow  bool `json:"follow,omitempty"`  // there is a follow_primary_command
}

// Votes says how members agree.
type Votes struct {
	Consensus     bool `json:"failover_require_consensus"`
	HalfVotes     bool `json:"enable_consensus_with_half_votes"`
	RepeatedVotes bool `json:"allow_multiple_failover_requests_from_node"`
}

// NodeSettings are those of one node.
type NodeSettings struct {
	Index   int  `json:"node"`
	Retries int  `json:"health_check_max_retries"`
	Keep    bool `json:"disallow_to_failover,omitempty"` // it is never taken out
}

func (s Settings) node(index int) NodeSettings {
	for _, n := range s.Nodes {
		if n.Index == index {
			return n
		}
	}
	return NodeSettings{Index: index}
}

// Limits. Each is there against flapping, or against believing too early.
const (
	sightsLast    = 3 * time.Second        // members tell on every change, and at least three times in this
	refusals      = 2                      // in a row, for death: one may be a listen queue that was full
	backAfter     = time.Second            // a primary that failed has to answer for so long to come back
	together      = 2 * time.Second        // nodes that begin to answer within this come back together
	returnAfter   = time.Second            // a standby has to stream for so long to come up again
	notStreaming  = 10 * time.Second       // a standby that is up may go without a stream: two wal_retrieve_retry_interval
	demotedFor    = 3 * time.Second        // the primary has to be in recovery for so long to have been demoted
	answersWithin = 200 * time.Millisecond // slower standbys are not waited for
	firstLook     = 10 * time.Second       // at the first start, for nodes that do not answer
	doubtedFor    = time.Minute            // a machine's boot: a primary that was not seen since the start may still be on its way
)

// words of a verdict, for reasons.
func (s Sight) words() string {
	switch s.Verdict {
	case Refused:
		text := fmt.Sprintf("it refused %d probes in a row", s.Times)
		if s.Shutdown {
			text += fmt.Sprintf(", %v after its shutdown", s.For)
		}
		return text
	case Silent:
		return fmt.Sprintf("no answer to %d probes, for %v", s.Times, s.For)
	case ShuttingDown:
		return "it is shutting down"
	case IsStandby:
		return "it is in recovery"
	case IsPrimary:
		return fmt.Sprintf("it answers as primary for %v", s.For)
	}
	return string(s.Verdict)
}

// Describe tells people what a decision looked at: what each member has seen of each node.
func Describe(in *Input) string {
	var all []string
	for _, member := range slices.Sorted(maps.Keys(in.Sights)) {
		of := in.Sights[member]
		for _, n := range sortedNodes(of) {
			text := fmt.Sprintf("%d: %s", n, of[n].describe(in.Now))
			if len(in.Sights) > 1 {
				text = member + " sees " + text
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, "; ")
}

// describe is a sight with all that decisions look at.
func (s Sight) describe(now time.Duration) string {
	text := fmt.Sprintf("%s for %v", s.Verdict, s.For.Round(time.Millisecond))
	if s.Times > 1 {
		text += fmt.Sprintf(" in %d probes", s.Times)
	}
	if s.Shutdown {
		text += ", after its shutdown"
	}
	if s.answered() {
		text += fmt.Sprintf(", timeline %d at %s", s.Timeline, lsn(s.Received))
	}
	switch {
	case s.Verdict == IsPrimary && s.Sync != nil:
		text += fmt.Sprintf(", %v, streams to %v", *s.Sync, s.Connected)
	case s.Verdict == IsStandby:
		text += fmt.Sprintf(", replayed %s, ", lsn(s.Replayed)) + s.stream()
	}
	return text + fmt.Sprintf(" (%v ago)", (now-s.Heard).Round(time.Millisecond))
}

// stream is whom a standby receives from, or would.
func (s Sight) stream() string {
	from := map[int]string{None: "nobody", Elsewhere: "elsewhere"}[s.Upstream]
	from = cmp.Or(from, fmt.Sprint("node ", s.Upstream))
	if s.Streaming {
		return fmt.Sprintf("streaming from %s for %v", from, s.StreamingFor.Round(time.Millisecond))
	}
	return fmt.Sprintf("not streaming for %v, told to receive from %s", s.StreamingFor.Round(time.Millisecond), from)
}

// dead is the one place that tells death.
func (s Settings) dead(node int, v Sight) bool {
	patience := s.node(node).Retries + 1
	switch {
	case s.node(node).Keep:
		return false // DISALLOW_TO_FAILOVER
	case v.Shutdown && s.OnShutdown:
		return v.Verdict == ShuttingDown || v.Verdict == Refused || v.Verdict == Silent
	case v.Verdict == Refused && v.Shutdown && v.For < s.RestartGrace:
		return false // systemctl restart
	case v.Verdict == Refused && s.OnError:
		return v.Times >= refusals
	case v.Verdict == Refused:
		return v.Times >= max(patience, refusals) // left to the health check
	case v.Verdict == Silent:
		return v.Times >= patience
	}
	return false
}

// votes that a member has: one, unless its repeated reports are let count.
func (s Settings) votes(v Sight) int {
	if s.RepeatedVotes {
		return max(1, v.Times/refusals)
	}
	return 1
}

// needed is how many votes decide.
func (s Settings) needed() int {
	n := len(s.Members)
	switch {
	case !s.Consensus:
		return 1
	case s.HalfVotes:
		return max(1, (n+1)/2)
	}
	return n/2 + 1
}

// fresh are the sights of members that count: neither old nor from the future, which
// is what a clock that jumped makes of them.
func (s Settings) fresh(in *Input, node int) []memberSight {
	var all []memberSight
	limit := cmp.Or(s.SightsLast, sightsLast)
	for _, member := range s.Members {
		v, ok := in.Sights[member][node]
		if age := in.Now - v.Heard; ok && age >= 0 && age <= limit {
			all = append(all, memberSight{member, v})
		}
	}
	return all
}

type memberSight struct {
	member string
	Sight
}

// agree counts the votes for something about a node. why is for people.
func (s Settings) agree(in *Input, node int, is func(Sight) bool) (agreed bool, why string) {
	sum, words := 0, ""
	for _, v := range s.fresh(in, node) {
		if is(v.Sight) {
			sum += s.votes(v.Sight)
			words = cmp.Or(words, v.words())
		}
	}
	sum = min(sum, len(s.Members))
	if sum == 0 || sum < s.needed() {
		return false, ""
	}
	if len(s.Members) > 1 {
		words += fmt.Sprintf("; %d of %d agree", sum, len(s.Members))
	}
	return true, words
}

// deadFor says that a node has been dead to enough members for so long.
func (s Settings) deadFor(in *Input, node int, least time.Duration) bool {
	dead, _ := s.agree(in, node, func(v Sight) bool { return s.dead(node, v) && v.For >= least })
	return dead
}

// Seen is the herd as one member uses it, by its own sights: a node that it alone finds
// dead is in quarantine here, and one that it is not certain of is suspect. It lasts as
// long as the sight does.
func Seen(h Herd, own map[int]Sight, s Settings) []Node {
	nodes := slices.Clone(h.Nodes)
	for i := range nodes {
		n := &nodes[i]
		v, ok := own[n.Index]
		switch {
		case !ok || n.Status != Up:
		case s.dead(n.Index, v):
			n.Status, n.Reason = Quarantined, "this pgherd finds it dead, the herd does not: "+v.words()
		case v.Verdict == WrongCluster || foreign(v, &h):
			n.Status, n.Reason = Quarantined, "it is of another system"
		case n.Index == h.Primary && v.Verdict == IsPrimary && v.Timeline < h.Timeline:
			n.Status, n.Reason = Quarantined, fmt.Sprintf("its timeline %d is older than the herd's %d", v.Timeline, h.Timeline)
		case !v.answered():
			n.Status, n.Reason = Suspect, v.words()
		}
	}
	return nodes
}
