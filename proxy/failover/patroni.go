package failover

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Where Patroni promotes (failover_mode = patroni), these rules take the place of those of
// decide.go. A phase means the same, but nobody is revoked, chosen, promoted or made to
// follow: electing waits until Patroni names a leader, and promoting until that node itself
// answers as primary, on a newer timeline.

// Report is what the Patroni of one node says of its cluster. It has read that from the
// DCS; one that is cut off from the DCS may tell what was true before.
type Report struct {
	Leader   int           `json:"leader"`             // the node that has the leader's lock; None: nobody has; Elsewhere: no node of ours
	Name     string        `json:"name,omitempty"`     // the leader's; with None: it leads a standby cluster
	Timeline uint32        `json:"timeline,omitempty"` // the leader's; if there is none, the newest of the members'; 0: not told
	Paused   bool          `json:"paused,omitempty"`   // maintenance mode: a primary may go on without the lock
	Heard    time.Duration `json:"heard"`              // when Patroni was asked, by the clock of Input.Now
}

// reportsLast is how long a report counts. Each is replaced by the next, or by a failure.
const reportsLast = 15 * time.Second

func (r Report) says() string {
	switch {
	case r.Leader >= 0:
		return fmt.Sprintf("Patroni's leader is node %d", r.Leader)
	case r.Leader == Elsewhere:
		return fmt.Sprintf("Patroni's leader is %s, which is no node of pgherd's", r.Name)
	case r.Name != "":
		return fmt.Sprintf("Patroni's %s leads a standby cluster, which has no primary", r.Name)
	case r.Paused:
		return "Patroni is paused, and has no leader"
	}
	return "Patroni has no leader"
}

// consensus is what all Patronis together say.
type consensus struct {
	Report        // if agreed
	told   int    // that have answered
	agreed bool   // most of those that know the newest timeline say the same
	why    string // for people
}

// contradicts says that the primary must not be this one any more. While Patroni is paused a
// primary may go on without the lock, if nobody else has it.
func (c consensus) contradicts(primary int) bool {
	excused := c.Leader == None && c.Name == "" && c.Paused
	return c.agreed && c.Leader != primary && !excused
}

// silent says that nobody has answered.
func (c consensus) silent() bool { return c.told == 0 }

// patroni is the rule for answers that differ. A promotion begins a timeline, and no view
// of the DCS goes back to an older one. So
//
//	an answer on an older timeline than the herd's   was true before, and does not count
//	those on the newest timeline                     are the newest, and count alone
//	of these, more than half say the same            that is it
//	else                                             nothing is known: what was known before stays
//
// One that tells no timeline counts as on the herd's; so does one that names the herd's
// primary, for a member tells the DCS of its timeline some seconds after a promotion.
func (d decision) patroni() (c consensus) {
	newest, told := d.reports()
	c.told = told
	for _, r := range newest {
		same := 0
		for _, o := range newest {
			if r.Leader == o.Leader && r.Name == o.Name {
				same++
			}
		}
		if 2*same > len(newest) {
			c.Report, c.agreed, c.why = r, true, r.says()
			return c
		}
	}
	c.why = "Patroni does not answer"
	if told > 0 {
		c.why = fmt.Sprintf("the answers of Patroni (%d) disagree, or are old", told)
	}
	return c
}

// told are the answers of now, also those on an older timeline.
func (d decision) told() (all []Report) {
	for _, n := range d.s.Nodes {
		r, answered := d.in.Reports[n.Index]
		if age := d.in.Now - r.Heard; !answered || age < 0 || age > cmp.Or(d.s.ReportsLast, reportsLast) {
			continue
		}
		all = append(all, r)
	}
	return all
}

// reports are those that count; told is how many Patronis have answered.
func (d decision) reports() (newest []Report, told int) {
	for _, r := range d.told() {
		told++
		r.Timeline = cmp.Or(r.Timeline, d.h.Timeline)
		if r.Leader >= 0 && r.Leader == d.h.Primary {
			r.Timeline = max(r.Timeline, d.h.Timeline)
		}
		switch {
		case r.Timeline < d.h.Timeline, len(newest) > 0 && r.Timeline < newest[0].Timeline:
		case len(newest) > 0 && r.Timeline > newest[0].Timeline:
			newest = []Report{r}
		default:
			newest = append(newest, r)
		}
	}
	return newest, told
}

var patroniRules = map[Phase]func(decision) Step{
	Steady: decision.patroniSteady, Draining: decision.patroniDraining, Electing: decision.patroniElecting, Promoting: decision.patroniPromoting,
}

// patroniSteady: the primary stays as long as Patroni does not contradict. That another node
// answers as primary does not make it one: only Patroni's leader is taken.
func (d decision) patroniSteady() Step {
	c, p := d.patroni(), d.h.Primary
	if d.h.Epoch == 0 {
		return d.patroniFirst(c)
	}
	if c.contradicts(p) {
		return d.propose(FailNode, p, "node %d is the primary no more: %s", p, c.why)
	}
	if dead, why := d.dead(p); dead {
		return d.propose(FailNode, p, "node %d is down: %s; %s", p, why, c.why)
	}
	if demoted, why := d.isStandby(p, 0); demoted { // by Patroni, at once: it refuses writes, and Patroni alone ends that
		return d.propose(FailNode, p, "node %d is the primary no more: %s; %s", p, why, c.why)
	}
	lead, ours := d.isOurs(p)
	switch {
	case !ours:
		return Step{Waits: d.whyNotOurs(p)}
	case d.h.Doubt && d.confirmed(p, lead, c):
		return d.primary(p, lead, "node %d is primary, as the status file says; %s", p, c.why)
	case d.h.Doubt:
		return d.stuck(Step{Waits: fmt.Sprintf("the status file says that node %d is primary: %s", p, c.why)})
	case lead.Timeline > d.h.Timeline && c.names(p):
		return d.primary(p, lead, "node %d has gone on to timeline %d; %s", p, lead.Timeline, c.why)
	case !c.agreed:
		return Step{Waits: fmt.Sprintf("%s: node %d stays the primary", c.why, p)}
	}
	return Step{}
}

func (c consensus) names(n int) bool { return c.agreed && c.Leader == n }

// confirmed says that the last known primary, which answers as one, is the primary again.
// Without Patroni's word that takes that nothing has changed meanwhile, for all that is
// seen.
func (d decision) confirmed(p int, lead Sight, c consensus) bool {
	switch {
	case c.names(p):
		return true
	case c.contradicts(p), !c.agreed && !c.silent(), lead.Timeline != d.h.Timeline, lead.For < backAfter:
		return false
	}
	return !d.outdated(p, lead)
}

// outdated says that another node answers as primary on a newer timeline than this one.
func (d decision) outdated(n int, v Sight) bool {
	return slices.ContainsFunc(d.s.Nodes, func(o NodeSettings) bool {
		other, claims := d.claims(o.Index)
		return claims && o.Index != n && other.Timeline > v.Timeline
	})
}

// patroniFirst: no primary is known yet.
func (d decision) patroniFirst(c consensus) Step {
	if !c.agreed || c.Leader < 0 {
		return d.stuck(Step{Waits: "first start: " + c.why})
	}
	v, claims := d.claims(c.Leader)
	switch {
	case d.h.status(c.Leader) == Detached:
		return d.stuck(Step{Waits: fmt.Sprintf("first start: %s, and an operator has detached it", c.why)})
	case !claims || v.System == 0 || v.Timeline == 0:
		return d.stuck(Step{Waits: fmt.Sprintf("first start: %s, and has to answer as primary", c.why)})
	}
	return d.primary(c.Leader, v, "first start: %s", c.why)
}

// patroniDraining: a status file of another failover_mode has a switchover of pgherd's.
func (d decision) patroniDraining() Step {
	return d.propose(UndoDrain, None, "Patroni decides who is primary")
}

// patroniElecting: all servers of the primary that failed are closed, and Patroni names another
// leader, or the same again.
func (d decision) patroniElecting() Step {
	c, p := d.patroni(), d.h.Former
	dead, _ := d.dead(p)
	if lead, ours := d.isOurs(p); ours && !dead && d.h.status(p) != Detached && d.confirmed(p, lead, c) {
		return d.propose(BringBack, p, "node %d is back: %s", p, c.why)
	}
	if acts := d.fence(); acts != nil {
		return Step{Acts: acts, Waits: fmt.Sprintf("every pgherd to part with node %d", p)}
	}
	n := c.Leader
	switch {
	case !c.agreed:
		return d.stuck(Step{Waits: cmp.Or(d.behind(), c.why)})
	case n < 0:
		return d.stuck(Step{Waits: c.why})
	case n == p:
		return d.stuck(Step{Waits: fmt.Sprintf("%s, which has to answer as primary", c.why)})
	case d.h.status(n) == Detached:
		return d.stuck(Step{Waits: fmt.Sprintf("%s, and an operator has detached it", c.why)})
	case d.h.status(n) == Recovering:
		return d.propose(MarkDown, n, "it is to be primary: %s", c.why)
	}
	return d.propose(MakeCandidate, n, "%s", c.why)
}

// patroniPromoting: Patroni promotes, and the node itself says when that is done. Patroni need
// not answer any more by then, for it has named the node; but after a restart of pgherd that
// may be long ago.
func (d decision) patroniPromoting() Step {
	c, n := d.patroni(), d.h.Candidate
	if c.agreed && c.Leader != n {
		return d.propose(FailNode, n, "node %d is not promoted: %s", n, c.why)
	}
	v, claims := d.claims(n)
	named := c.agreed || c.silent() && !d.h.Doubt && !d.outdated(n, v)
	if named && claims && v.System == d.h.System && v.Timeline > d.h.Timeline {
		return d.primary(n, v, "node %d was promoted; %s", n, c.why)
	}
	if behind := d.behind(); behind != "" {
		return d.stuck(Step{Waits: behind})
	}
	return d.stuck(Step{Waits: fmt.Sprintf("node %d to be promoted, on a newer timeline than %d; %s", n, d.h.Timeline, c.why)})
}

// behind says that the leader by most answers takes writes already, on a timeline that may lack
// what the last primary has committed. It is not taken, for pgherd never goes back by itself; ""
// if there is no such leader.
func (d decision) behind() string {
	all := d.told()
	for _, n := range d.s.Nodes {
		named := 0
		for _, r := range all {
			if r.Leader == n.Index {
				named++
			}
		}
		if v, claims := d.claims(n.Index); claims && 2*named > len(all) && v.System == d.h.System && v.Timeline <= d.h.Timeline {
			return fmt.Sprintf("Patroni's leader node %d is primary on timeline %d, not on a newer one than the herd's %d: commits of the last primary may be missing there. "+
				"To take it all the same, start pgherd with -D", n.Index, v.Timeline, d.h.Timeline)
		}
	}
	return ""
}
