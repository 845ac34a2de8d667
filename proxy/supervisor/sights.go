package supervisor

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"strings"
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
		if !s.Asked || s.At.Before(from[s.Index]) {
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

// syncSet reads synchronous_standby_names (20.6.2 in PostgreSQL's manual). Of a set that
// takes any name, streaming has those that are in it.
func syncSet(names string, seen []health.Seen, streaming []string) (set failover.SyncSet) {
	words := syncWords(names)
	if len(words) == 0 {
		return set
	}
	set.First, set.K = true, 1
	switch first := strings.ToUpper(words[0].text); {
	case words[0].quoted:
	case (first == "ANY" || first == "FIRST") && len(words) > 1:
		set.First, words = first == "FIRST", words[1:]
		fallthrough
	default:
		if n, err := strconv.Atoi(words[0].text); err == nil && len(words) > 1 {
			set.K, words = n, words[1:]
		}
	}
	for _, w := range words {
		if w.text == "*" && !w.quoted {
			set.Names = append(set.Names, streaming...)
			for i := range seen {
				set.Names = append(set.Names, nameOf(&seen[i]))
			}
			continue
		}
		set.Names = append(set.Names, w.text)
	}
	set.Names = slices.DeleteFunc(set.Names, func(name string) bool { return name == "" })
	for i := range set.Names {
		set.Names[i] = strings.ToLower(set.Names[i]) // PostgreSQL takes no notice of case
	}
	slices.Sort(set.Names)
	set.Names = slices.Compact(set.Names)
	for i := range seen {
		if slices.Contains(set.Names, strings.ToLower(nameOf(&seen[i]))) {
			set.Nodes = append(set.Nodes, seen[i].Index)
		}
	}
	return set
}

type syncWord struct {
	text   string
	quoted bool
}

// syncWords are the words of a list, without its commas and parentheses.
func syncWords(text string) (words []syncWord) {
	for text = strings.TrimLeft(text, " \t\n,()"); text != ""; text = strings.TrimLeft(text, " \t\n,()") {
		if text[0] != '"' {
			end := strings.IndexAny(text, " \t\n,()")
			if end < 0 {
				end = len(text)
			}
			words = append(words, syncWord{text: text[:end]})
			text = text[end:]
			continue
		}
		word, rest := "", text[1:]
		for {
			part, after, _ := strings.Cut(rest, `"`)
			word += part
			if rest = after; !strings.HasPrefix(rest, `"`) {
				break
			}
			word, rest = word+`"`, rest[1:]
		}
		words = append(words, syncWord{word, true})
		text = rest
	}
	return words
}
