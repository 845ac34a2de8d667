package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"pgherd/bench/herd"
)

// Limits of the chaos.
const (
	chaosSettle = 60 * time.Second       // for a fault to be over, and for all nodes to be up again
	chaosCalm   = time.Second            // of work before each fault, and after it
	chaosPoll   = 20 * time.Millisecond  // between two looks whether something is so
	chaosHealth = "health_check_timeout" // in seconds, as is restart_grace
)

// chaosConfig is what pgherd is started with.
var chaosConfig = strings.Join([]string{"pool_mode = transaction", "load_balance_mode = on", "statement_level_load_balance = on",
	"auto_failback = on", "auto_failback_interval = 1", "restart_grace = 1", chaosHealth + " = 1", "log_min_messages = info",
	"admin_users = '" + herd.User + "'"}, "\n")

const chaosIntro = `three nodes, of which one of two standbys has to acknowledge each commit (ANY 1);
pgherd with pool_mode = transaction, ` + chaosHealth + ` = 1 and restart_grace = 1;
%d clients: %d idle, %d reading, %d writing, %d in transactions of several statements
`

const noCut = "%s: left out, because it is not permitted: %v"

// fault is something that happens to a node.
type fault struct {
	name    string
	primary bool // else a standby
	strike  func(*chaos, int) error
	after   func(*chaos, int) error // once the service is back; nil: nothing
	planned bool                    // nothing has to be detected
}

var faults = []fault{
	{name: "primary killed (-9, all processes)", primary: true, strike: (*chaos).slay},
	{name: "standby killed (-9, all processes)", strike: (*chaos).slay},
	{name: "primary frozen (all processes), then thawed", primary: true, strike: (*chaos).freeze, after: (*chaos).thaw},
	{name: "standby frozen (all processes), then thawed", strike: (*chaos).freeze, after: (*chaos).thaw},
	cutOff,
	{name: "primary stopped (fast shutdown)", primary: true, strike: func(c *chaos, n int) error { return c.nodes.Shutdown(n) }},
	{name: "switchover", primary: true, strike: (*chaos).switchOver, planned: true},
}

// cutOff is left out where the demo may not do it.
var cutOff = fault{name: "primary cut off (network, silently), then mended", primary: true, strike: (*chaos).cut, after: (*chaos).mend}

func (c *chaos) slay(node int) error   { return c.nodes.Slay(node) }
func (c *chaos) freeze(node int) error { return c.nodes.Freeze(node) }
func (c *chaos) thaw(node int) error   { return c.nodes.Thaw(node) }
func (c *chaos) cut(node int) error    { return c.nodes.Cut(node, c.proxy.PID()) }
func (c *chaos) mend(node int) error   { return c.nodes.Mend(node, c.proxy.PID()) }

// mayCut tries whether the demo may cut off a node, for a moment.
func (c *chaos) mayCut() error {
	const node = 1
	return errors.Join(c.cut(node), c.mend(node))
}

// switchOver has the next node take over from the primary.
func (c *chaos) switchOver(primary int) error {
	conn, err := connect(c.ctx, c.proxy)
	if err != nil {
		return err
	}
	defer conn.Close(c.ctx)
	return conn.Exec(c.ctx, fmt.Sprint("SWITCHOVER ", (primary+1)%len(c.nodes.Nodes()))).Close()
}

// chaos is a demo in which nodes are lost one after another.
type chaos struct {
	ctx   context.Context
	nodes *herd.Herd
	proxy *herd.Proxy
	tell  io.Writer
	crowd *crowd
	began time.Time
}

// runChaos has every fault happen so many times, and prints what came of it.
func runChaos(ctx context.Context, out, tell io.Writer, o options, nodes *herd.Herd, proxy *herd.Proxy) (err error) {
	c := &chaos{ctx: ctx, nodes: nodes, proxy: proxy, tell: tell, began: time.Now()}
	if err := c.prepare(); err != nil {
		return stopped(ctx, err)
	}
	if c.crowd, err = gather(ctx, proxy); err != nil {
		return stopped(ctx, err)
	}
	defer c.crowd.leave()
	c.say(chaosIntro, c.crowd.size(), idleClients, readingClients, writingClients, transactingClients)
	all, r := faults, report{Notes: []string{}}
	if err := c.mayCut(); err != nil {
		r.Notes = append(r.Notes, fmt.Sprintf(noCut, cutOff.name, err))
		all = slices.DeleteFunc(slices.Clone(all), func(f fault) bool { return f.name == cutOff.name })
	}
	for round := range o.rounds {
		for _, f := range all {
			row, err := c.suffer(f)
			if err != nil {
				return stopped(ctx, fmt.Errorf("round %d, %s: %w; pgherd's log ends:\n%s", round+1, f.name, err, readTail(proxy.Log())))
			}
			c.say("%s\n", row.line())
			r.Rows = append(r.Rows, row)
		}
	}
	r.summarize()
	if o.json {
		return r.writeJSON(out)
	}
	return r.write(out)
}

// say tells how far the chaos is.
func (c *chaos) say(format string, args ...any) {
	fmt.Fprintf(c.tell, "%6.1fs  "+format, append([]any{time.Since(c.began).Seconds()}, args...)...)
}

// prepare makes replication synchronous, whoever is the primary.
func (c *chaos) prepare() error {
	if _, err := c.nodes.Exec(c.ctx, "CREATE TABLE chaos (id bigint PRIMARY KEY); GRANT ALL ON chaos TO PUBLIC"); err != nil {
		return err
	}
	for _, n := range c.nodes.Nodes() {
		for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (node0, node1, node2)'",
			"ALTER SYSTEM SET synchronous_commit = on", "SELECT pg_reload_conf()"} {
			if _, err := c.nodes.ExecOn(c.ctx, n.Index, sql); err != nil {
				return err
			}
		}
	}
	return c.allUp()
}

// suffer has one fault happen under load, waits until clients write and read again, and
// recovers the node by a fresh copy of the primary.
func (c *chaos) suffer(f fault) (row, error) {
	primary, err := c.primary()
	if err != nil {
		return row{}, err
	}
	victim := primary
	if !f.primary {
		victim = (primary + 1) % len(c.nodes.Nodes())
	}
	c.rest(chaosCalm)
	c.crowd.reset()
	logged := c.logSize()
	c.say("%s: node %d\n", f.name, victim)
	struck := time.Now()
	if err := f.strike(c, victim); err != nil {
		return row{}, err
	}
	down := time.Now() // what is sent from now on is answered by nobody who was struck
	if err := c.until("clients read and write again", func() error { return c.crowd.works(down) }); err != nil {
		return row{}, err
	}
	if err := c.until("the fault is noticed", func() error { return noticed(c.logSince(logged), f, struck) }); err != nil {
		return row{}, err
	}
	if f.after != nil {
		if err := f.after(c, victim); err != nil {
			return row{}, err
		}
	}
	c.rest(chaosCalm)
	now, err := c.primary()
	if err != nil {
		return row{}, err
	}
	c.say("  node %d is recovered as a fresh copy of node %d\n", victim, now)
	if err := c.nodes.Copy(c.ctx, victim, now); err != nil {
		return row{}, err
	}
	if err := c.allUp(); err != nil {
		return row{}, err
	}
	r := row{Fault: f.name, Node: victim}
	r.times(c.logSince(logged), struck)
	r.FirstWrite = c.crowd.first(struck, down, writing, inTransaction)
	r.FirstRead = c.crowd.first(struck, down, reading)
	r.WritePause, r.ReadPause = c.crowd.pause(struck, writing, inTransaction), c.crowd.pause(struck, reading)
	err = c.crowd.account(&r, func(sql string) (string, error) { return c.nodes.ExecOn(c.ctx, now, sql) })
	return r, err
}

// rest waits, unless the demo is stopped.
func (c *chaos) rest(d time.Duration) {
	select {
	case <-c.ctx.Done():
	case <-time.After(d):
	}
}

func (c *chaos) until(what string, check func() error) error {
	for deadline := time.Now().Add(chaosSettle); ; c.rest(chaosPoll) {
		err := check()
		if err == nil || c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %v: %w", what, chaosSettle, err)
		}
	}
}

func (c *chaos) logSize() int64 {
	if info, err := os.Stat(c.proxy.Log()); err == nil {
		return info.Size()
	}
	return 0
}

func (c *chaos) logSince(at int64) string {
	text, err := os.ReadFile(c.proxy.Log())
	if err != nil || int64(len(text)) < at {
		return ""
	}
	return string(text[at:])
}

// primary is the node that pgherd has for the primary.
func (c *chaos) primary() (node int, err error) {
	err = c.until("there is a primary", func() error {
		all, err := c.shown()
		if err != nil {
			return err
		}
		if node = slices.Index(all, shownNode{"primary", "up"}); node < 0 {
			return errors.New("SHOW POOL_NODES has none")
		}
		return nil
	})
	return node, err
}

func (c *chaos) allUp() error {
	return c.until("all nodes are up", func() error {
		all, err := c.shown()
		for i, n := range all {
			if n.status != "up" {
				return fmt.Errorf("node %d is %s", i, n.status)
			}
		}
		return err
	})
}

// shownNode is a row of SHOW POOL_NODES.
type shownNode struct{ role, status string }

func (c *chaos) shown() (all []shownNode, err error) {
	result, err := askNodes(c.ctx, c.proxy)
	if err != nil {
		return nil, err
	}
	at := columnsOf(result)
	for _, row := range result.Rows {
		all = append(all, shownNode{string(row[at["role"]]), string(row[at["status"]])})
	}
	return all, nil
}
