package config

import (
	"fmt"
	"math"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxBacklog keeps the product of multiplier and clients within what listen(2) takes.
const maxBacklog = math.MaxUint16

// build fills a Config from settings: each table row names its own field.
func build(path string, s *settings) *Config {
	c := &Config{File: path, settings: func() *settings { return s }}
	for _, p := range table {
		if p.Into != nil {
			store(p.Into(c), p, s.get(p, noIndex).value, filepath.Dir(path))
		}
	}
	host := byName["backend_hostname"]
	for _, index := range s.indexes(func(p *Param) bool { return p == host }) {
		c.Nodes = append(c.Nodes, buildNode(s, index))
	}
	peer := byName["hostname"]
	for _, index := range s.indexes(func(p *Param) bool { return p == peer }) {
		c.Watchdog.Peers = append(c.Watchdog.Peers, buildPeer(s, index))
	}
	derive(c)
	return c
}

func buildPeer(s *settings, index int) Peer {
	one := Peer{Index: index}
	for _, p := range table {
		if p.IntoPeer != nil {
			store(p.IntoPeer(&one), p, s.get(p, index).value, "")
		}
	}
	return one
}

func buildNode(s *settings, index int) Node {
	n := Node{Index: index}
	for _, p := range table {
		if p.IntoNode != nil {
			store(p.IntoNode(&n), p, s.get(p, index).value, "")
		}
	}
	return n
}

// store puts a value into the field a table row points to.
func store(field any, p *Param, v value, folder string) {
	switch f := field.(type) {
	case *bool:
		*f = v.on
	case *int:
		*f = int(v.num)
	case *float64:
		*f = v.real
	case *time.Duration:
		*f = p.step().duration(v.num)
	case *[]string:
		*f = slices.Clone(v.list)
		for i := range *f {
			if p.Path {
				(*f)[i] = relativeTo(folder, (*f)[i])
			}
		}
	case *[]PoolMode:
		*f = poolModesOf(v.list)
	case *Secret:
		*f = Secret(v.text)
	case *NodeFlags:
		*f = NodeFlags{DisallowFailover: slices.Contains(v.list, "DISALLOW_TO_FAILOVER"), AlwaysPrimary: slices.Contains(v.list, "ALWAYS_PRIMARY")}
	case *string:
		*f = v.text
		if p.Path {
			*f = relativeTo(folder, v.text)
		}
	default:
		panic(fmt.Sprintf("config table: %s has a field of type %T", p.Name, field))
	}
}

// duration converts, and returns the longest Duration instead of overflowing.
func (u Unit) duration(num int64) time.Duration {
	unit := time.Duration(u.size()) * time.Microsecond
	if num > int64(math.MaxInt64/unit) {
		return math.MaxInt64
	}
	return time.Duration(num) * unit
}

// derive fills what depends on more than one parameter, or on the command line.
func derive(c *Config) {
	s, folder := c.settings(), filepath.Dir(c.File)
	c.Listen.Backlog = min(c.Listen.Backlog, maxBacklog) * c.Limits.Clients // was the multiplier
	c.Listen.Backlog = min(c.Listen.Backlog, maxBacklog)
	if c.ServerTLS.Mode == "auto" {
		c.ServerTLS.Mode = "disable"
		if c.ClientTLS.On {
			c.ServerTLS.Mode = "prefer"
		}
	}
	for i := range c.Nodes {
		if n := &c.Nodes[i]; !s.given("connect_timeout", n.Index) && !s.given("connect_timeout", noIndex) {
			n.ConnectTimeout = c.Pool.NodeConnectLimit
		}
	}
	for i := range c.Nodes {
		if n := &c.Nodes[i]; n.Patroni.URL == "" && !strings.HasPrefix(n.Host, "/") {
			n.Patroni.URL = "http://" + net.JoinHostPort(n.Host, defaultPatroni)
		}
	}
	if s.cl.Debug && !strings.HasPrefix(c.Log.MinMessages, "debug") {
		c.Log.MinMessages = "debug1"
	}
	c.Files.HBA = orDefault(s.cl.HBA, filepath.Join(folder, "pool_hba.conf"))
	c.Files.PCP = orDefault(s.cl.PCP, filepath.Join(folder, "pcp.conf"))
	c.Files.Key = s.cl.Key
	if s.cl.Pid != nil && !s.given("pid_file_name", noIndex) {
		c.Files.Pid = s.cl.Pid(c.Listen.Port)
	}
	c.Files.DiscardStatus = s.cl.DiscardStatus
}

func orDefault(given, otherwise string) string {
	if given != "" {
		return given
	}
	return otherwise
}

// joined is a list as one line.
func (v value) joined(p *Param) string { return joinList(v.list, p.Separator()) }
