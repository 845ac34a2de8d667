package proxy

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/executor"
	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// rightsLimit is how long the nodes may take at the start to tell what pgherd may do there.
const rightsLimit = 3 * time.Second

// hindrance is why pgherd cannot have a standby promoted; "": nothing is known against it. What it
// may not do besides is told to the log. Nodes that do not answer are left out.
func (p *Proxy) hindrance(ctx context.Context, c *config.Config) (why string) {
	ctx, cancel := context.WithTimeout(ctx, rightsLimit)
	defer cancel()
	found, lacks := make([]string, len(c.Nodes)), make([][]lack, len(c.Nodes))
	var asking sync.WaitGroup
	for i := range c.Nodes {
		n := nodes.Node{Index: c.Nodes[i].Index, Host: c.Nodes[i].Host, Port: c.Nodes[i].Port}
		asking.Go(func() { lacks[i] = p.lacks(ctx, c, &n) })
		if c.Failover.Mode == config.ModePatroni { // with whom pgherd does not compete
			continue
		}
		asking.Go(func() {
			if other, err := executor.New(p.accessOf(c)).Rival(ctx, &n); err == nil && other != "" {
				found[i] = fmt.Sprintf("%s is at work on node %d, and two must not promote standbys", other, n.Index)
			}
		})
	}
	asking.Wait()
	why = p.tellLacks(lacks)
	for _, rival := range found {
		if why == "" {
			why = rival
		}
	}
	return why
}

// lack is what a user may not do on a node.
type lack struct {
	user string // the parameter that names it
	node int
	executor.Lack
}

// lacks are those of the users that act on a node.
func (p *Proxy) lacks(ctx context.Context, c *config.Config, n *nodes.Node) (all []lack) {
	ask := func(user string, e *executor.Executor, needs ...executor.Need) {
		missing, err := e.Rights(ctx, n, needs...)
		if user == healthCheckUser && nodesql.Refused(err) {
			p.log.Error("health_check_user cannot log in, so that sr_check_user checks the node", "node", n.Index, "error", err)
		}
		for _, m := range missing {
			all = append(all, lack{user, n.Index, m})
		}
	}
	access, user := p.checkAccess(c, n.Index, true)
	ask(user, executor.New(access), executor.ToWatch)
	if c.Failover.Mode == config.ModeInternal {
		acting := executor.New(p.accessOf(c))
		ask(srCheckUser, acting, executor.ToFailOver, executor.ToFollow, executor.ToSwitchOver)
		if user != srCheckUser { // who acts looks first as well
			ask(srCheckUser, acting, executor.ToWatch)
		}
	}
	if c.Recovery.Command != "" {
		user := "recovery_user"
		if c.Recovery.User == "" {
			user = srCheckUser
		}
		runs := executor.New(p.recoveryAccess(c))
		if function, _ := runs.ByFunction(ctx, n); !function { // which needs none of these rights
			ask(user, runs, executor.ToRecover)
		}
	}
	return all
}

// tellLacks tells of each user and need the rights that it lacks, on the first node that lacks some:
// all nodes have the same roles. What failover lacks is returned.
func (p *Proxy) tellLacks(all [][]lack) (failover string) {
	type subject struct {
		user string
		need executor.Need
	}
	told := map[subject]bool{}
	for _, lacks := range all {
		grants, order := map[subject][]string{}, []subject{}
		for _, l := range lacks {
			s := subject{l.user, l.For}
			if grants[s] == nil {
				order = append(order, s)
			}
			grants[s] = append(grants[s], l.Grant)
		}
		for _, s := range order {
			text := fmt.Sprintf("%s lacks rights on node %d: %s", s.user, lacks[0].node, strings.Join(grants[s], ", "))
			switch {
			case told[s]:
			case s.need != executor.ToFailOver && s.need != executor.ToWatch:
				p.log.Info("not permitted yet: "+string(s.need), "reason", text)
			case failover == "":
				failover = text
			default:
				failover += "; " + text
			}
			told[s] = true
		}
	}
	return failover
}
