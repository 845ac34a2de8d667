package supervisor

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"time"

	"pgherd/proxy/executor"
	"pgherd/proxy/failover"
	"pgherd/proxy/health"
	"pgherd/proxy/nodes"
	"pgherd/proxy/nodesql"
)

// sights are what this member sees, by node, as decisions look at it. age is for how long
// nothing was told, and from are times before which what a node said does not count; date is the date now, which findings are compared with.
func sights(seen []health.Seen, age, now time.Duration, date time.Time, from map[int]time.Time) map[int]failover.Sight {
	all := map[int]failover.Sight{}
	for i := range seen {
		s := &seen[i]
		if !s.Asked || !s.At.After(from[s.Index]) {
			continue
		}
		c := &s.Course
		v := failover.Sight{Verdict: c.Verdict, Times: c.Times, For: max(0, date.Sub(c.Since)), Heard: now - min(age, max(0, date.Sub(c.Known))),
			Shutdown: c.Shutdown, System: s.Last.System, Timeline: s.Last.Timeline, Received: s.LSN, Upstream: failover.None}
		switch s.Last.Role {
		case nodes.Primary:
			set := syncSet(s.Synchronous, seen, s.Streaming)
			v.Sync, v.Connected = &set, connected(seen, s)
		case nodes.Standby:
			v.Received, v.Replayed = max(s.Received, s.LSN), s.LSN
			v.Streaming, v.StreamingFor = s.Receiver.Streaming, max(0, date.Sub(c.StreamingSince))
			v.Upstream = upstream(seen, s)
		}
		all[s.Index] = v
	}
	return all
}

// nameOf is what a standby calls itself to whom it streams from.
func nameOf(s *health.Seen) string { return cmp.Or(s.ApplicationName, s.Receiver.Name) }

// connected are the nodes that stream from a primary, by its word.
func connected(seen []health.Seen, primary *health.Seen) (all []int) {
	for i := range seen {
		n := &seen[i]
		if n.Index == primary.Index {
			continue
		}
		for _, name := range []string{nameOf(n), n.Host} {
			if row, known := primary.Standbys[name]; known && name != "" && row.State != "" {
				all = append(all, n.Index)
				break
			}
		}
	}
	return all
}

// upstream is the node that a standby is told to receive from: by the address that it has
// for it, or by the word of a primary that has it connected.
func upstream(seen []health.Seen, s *health.Seen) int {
	told := nodesql.ParseConninfo(s.Receiver.Conninfo)
	host, port := cmp.Or(told.Get("hostaddr"), told.Get("host")), told.Get("port")
	if executor.Revoked(s.Receiver.Conninfo) {
		return failover.None
	}
	if s.Receiver.Streaming && s.Receiver.Host != "" {
		host, port = s.Receiver.Host, strconv.Itoa(s.Receiver.Port)
	}
	for i := range seen {
		n := &seen[i]
		if n.Index != s.Index && sameHost(n.Host, host) && cmp.Or(port, defaultPort) == strconv.Itoa(n.Port) {
			return n.Index
		}
	}
	if s.Receiver.Streaming {
		for i := range seen {
			if p := &seen[i]; p.Reachable && p.Last.Role == nodes.Primary && slices.Contains(connected(seen, p), s.Index) {
				return p.Index
			}
		}
	}
	if host == "" && s.Receiver.Conninfo == "" && !s.Receiver.Streaming {
		return failover.None
	}
	return failover.Elsewhere
}

const defaultPort = "5432"

// sameHost says that two ways to write a host are of one. Names are not looked up: that
// may block.
func sameHost(a, b string) bool {
	if a == b {
		return a != ""
	}
	x, y := net.ParseIP(a), net.ParseIP(b)
	local := func(host string, ip net.IP) bool { return host == "localhost" || ip != nil && ip.IsLoopback() }
	return x != nil && y != nil && x.Equal(y) || local(a, x) && local(b, y)
}
