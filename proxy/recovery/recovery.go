// Package recovery makes a node that is lost a standby again, while clients go on: a script on
// the primary's machine copies its data there, another one starts it. It acts on nodes, never
// on sessions.
package recovery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"pgherd/proxy/nodes"
)

// Step is where a recovery is.
type Step string

// The steps, in their order.
const (
	Checks  Step = "preflight"
	Copies  Step = "1st stage" // recovery_1st_stage_command copies the data
	Updates Step = "2nd stage" // recovery_2nd_stage_command, if there is one, brings the copy up to date
	Starts  Step = "start"     // pgpool_remote_start starts PostgreSQL there
	Follows Step = "follow"    // it has to stream from the primary
	Done    Step = "done"
	Failed  Step = "failed"
)

// Node is a node, and where its data are on its own machine.
type Node struct {
	nodes.Node
	DataDirectory string
}

// Plan is a recovery that is to be done; a value.
type Plan struct {
	Target, Primary Node
	Command         string        // recovery_1st_stage_command, in the primary's data folder
	Second          string        // recovery_2nd_stage_command; "": there is none
	HeldFor         time.Duration // for the second stage, in which transactions wait
	Timeout         time.Duration // recovery_timeout: for the node to answer and to stream
}

func (p *Plan) scripts() []string {
	if p.Second == "" {
		return []string{p.Command, startCommand}
	}
	return []string{p.Command, p.Second, startCommand}
}

// arguments are Pgpool-II's, of both stages.
func (p *Plan) arguments() []string {
	return []string{p.Primary.DataDirectory, p.Target.Host, p.Target.DataDirectory, strconv.Itoa(p.Primary.Port),
		strconv.Itoa(p.Target.Index), strconv.Itoa(p.Target.Port), p.Primary.Host}
}

// startCommand is Pgpool-II's, in the primary's data folder.
const startCommand = "pgpool_remote_start"

// Acts is what a recovery needs done.
type Acts interface {
	Run(ctx context.Context, n *nodes.Node, program string, arguments ...string) (output string, err error)
	// Preflight names what the primary lacks for these scripts.
	Preflight(ctx context.Context, primary *Node, scripts ...string) (missing []string, err error)
	// Hold lets no transaction begin on the primary until free is called, and waits until those that run have ended.
	Hold(ctx context.Context, primary *nodes.Node) (free func(), err error)
	CopyProgress(ctx context.Context, n *nodes.Node) (percent int)
	// Answers says that PostgreSQL answers at a node; Attach lets it come up once it streams, and
	// Up that it has.
	Answers(ctx context.Context, node int) bool
	Attach(ctx context.Context, node int, by string) error
	Up(node int) bool
}

// State is what is known of the recovery that runs, or of the last one; a value.
type State struct {
	Node    int
	By      string
	Step    Step
	In      Step // of one that failed: the step in which it did
	Percent int  // of the copy; -1: not known
	Began   time.Time
	Ended   time.Time // zero: it runs
	Why     string    // of one that failed
}

// Recovery runs one recovery at a time. Its methods may be called from any goroutine.
type Recovery struct {
	acts Acts
	now  func() time.Time

	lock  sync.Mutex // over what follows
	state State
	runs  bool
}

// New makes one that has nothing to do.
func New(acts Acts, now func() time.Time) *Recovery { return &Recovery{acts: acts, now: now} }

// State is where it is; not known: there was none.
func (r *Recovery) State() (s State, known bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.state, !r.state.Began.IsZero()
}

// Named limits.
const (
	look    = 200 * time.Millisecond // between two looks at the node that is recovered
	measure = time.Second            // between two looks at the copy's progress
)

// Run recovers a node, and returns once it is up, or with the step that failed and why.
func (r *Recovery) Run(ctx context.Context, p Plan, by string) (err error) {
	if !r.begin(p, by) {
		return errors.New("a recovery is running already; SHOW POOL_RECOVERY tells how far it is")
	}
	defer func() { err = r.end(p, err) }()
	if err := r.preflight(ctx, p); err != nil {
		return err
	}
	r.enter(Copies)
	measured, stop := context.WithCancel(ctx)
	go r.measure(measured, p)
	_, err = r.acts.Run(ctx, &p.Primary.Node, p.Command, p.arguments()...)
	if stop(); err != nil {
		return err
	}
	if err := r.update(ctx, p); err != nil {
		return err
	}
	r.enter(Starts)
	if _, err := r.acts.Run(ctx, &p.Primary.Node, startCommand, p.Target.Host, p.Target.DataDirectory); err != nil {
		return err
	}
	r.enter(Follows)
	if err := r.acts.Attach(ctx, p.Target.Index, by); err != nil {
		return err
	}
	return r.await(ctx, p)
}

// preflight finds what would make the recovery fail, or harm, before anything is done.
func (r *Recovery) preflight(ctx context.Context, p Plan) error {
	switch {
	case p.Target.Index == p.Primary.Index:
		return errors.New("it is the primary")
	case p.Command == "":
		return errors.New("recovery_1st_stage_command is not set")
	case p.Target.DataDirectory == "" || p.Primary.DataDirectory == "":
		return fmt.Errorf("backend_data_directory%d and backend_data_directory%d have to be set", p.Primary.Index, p.Target.Index)
	case r.acts.Answers(ctx, p.Target.Index):
		return errors.New("PostgreSQL answers there: stop it first, for its data will be replaced")
	}
	missing, err := r.acts.Preflight(ctx, &p.Primary, p.scripts()...)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("node %d, the primary, lacks: %s", p.Primary.Index, strings.Join(missing, "; "))
	}
	return err
}

// update runs the second stage, during which no transaction begins.
func (r *Recovery) update(ctx context.Context, p Plan) error {
	if p.Second == "" {
		return nil
	}
	r.enter(Updates)
	limited, cancel := context.WithTimeout(ctx, p.HeldFor)
	defer cancel()
	free, err := r.acts.Hold(limited, &p.Primary.Node)
	if err != nil {
		return err
	}
	defer free()
	if _, err = r.acts.Run(limited, &p.Primary.Node, p.Second, p.arguments()...); limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%s does not end within %v; transactions go on", p.Second, p.HeldFor)
	}
	return err
}

// await waits until the node is up.
func (r *Recovery) await(ctx context.Context, p Plan) error {
	limited, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	for !r.acts.Up(p.Target.Index) {
		select {
		case <-time.After(look):
		case <-limited.Done():
			return fmt.Errorf("it does not stream from the primary within recovery_timeout (%v); its log tells why", p.Timeout)
		}
	}
	return nil
}

func (r *Recovery) measure(ctx context.Context, p Plan) {
	for ctx.Err() == nil {
		percent := r.acts.CopyProgress(ctx, &p.Primary.Node)
		r.lock.Lock()
		if r.state.Step == Copies {
			r.state.Percent = max(percent, r.state.Percent)
		}
		r.lock.Unlock()
		select {
		case <-time.After(measure):
		case <-ctx.Done():
		}
	}
}

func (r *Recovery) begin(p Plan, by string) bool {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.runs {
		return false
	}
	r.runs, r.state = true, State{Node: p.Target.Index, By: by, Step: Checks, Percent: -1, Began: r.now()}
	return true
}

func (r *Recovery) enter(s Step) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.state.Step = s
}

// end notes what came of it, and says in which step it failed.
func (r *Recovery) end(p Plan, err error) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.runs, r.state.Ended = false, r.now()
	if err == nil {
		r.state.Step = Done
		return nil
	}
	in := r.state.Step
	r.state.Step, r.state.In, r.state.Why = Failed, in, err.Error()
	return fmt.Errorf("recover node %d, %s: %w", p.Target.Index, in, err)
}
