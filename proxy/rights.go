package proxy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"pgherd/proxy/config"
	"pgherd/proxy/executor"
	"pgherd/proxy/nodes"
)

// rightsLimit is how long the nodes may take at the start to tell what pgherd may do there.
const rightsLimit = 3 * time.Second

// hindrance is why pgherd cannot have a standby promoted; "": nothing is known against it. What it
// may not do besides is told to the log. Nodes that do not answer are left out.
func (p *Proxy) hindrance(ctx context.Context, c *config.Config) (why string) {
	if c.Failover.Mode == config.ModePatroni {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, rightsLimit)
	defer cancel()
	found, lacks := make([]string, len(c.Nodes)), make([][]lack, len(c.Nodes))
	var asking sync.WaitGroup
	for i := range c.Nodes {
		n := nodes.Node{Index: c.Nodes[i].Index, Host: c.Nodes[i].Host, Port: c.Nodes[i].Port}
		asking.Go(func() { lacks[i] = p.lacks(ctx, c, &n) })
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
		missing, _ := e.Rights(ctx, n, needs...)
		for _, m := range missing {
			all = append(all, lack{user, n.Index, m})
		}
	}
	if c.Failover.Mode == config.ModeInternal {
		ask("sr_check_user", executor.New(p.accessOf(c)), executor.ToFailOver, executor.ToFollow, executor.ToSwitchOver)
	}
	if c.Recovery.Command != "" {
		user := "recovery_user"
		if c.Recovery.User == "" {
			user = "sr_check_user"
		}
		ask(user, executor.New(p.recoveryAccess(c)), executor.ToRecover)
	}
	return all
}

// tellLacks tells of each need the rights that it lacks, on the first node that lacks some: all
// nodes have the same roles. What failover lacks is returned.
func (p *Proxy) tellLacks(all [][]lack) (failover string) {
	var told []executor.Need
	for _, lacks := range all {
		of := map[executor.Need][]string{}
		for _, l := range lacks {
			of[l.For] = append(of[l.For], l.Grant)
		}
		for _, l := range lacks {
			if slices.Contains(told, l.For) {
				continue
			}
			told = append(told, l.For)
			text := fmt.Sprintf("%s lacks rights on node %d: %s", l.user, l.node, strings.Join(of[l.For], ", "))
			if l.For == executor.ToFailOver {
				failover = text
				continue
			}
			p.log.Info("not permitted yet: "+string(l.For), "reason", text)
		}
	}
	return failover
}
