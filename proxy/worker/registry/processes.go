package registry

import (
	"slices"
	"sync"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
)

// Processes are the open servers of all workers, by node and process number. They
// change when a server is opened or closed. Statements that signal a process look them
// up, and so do notifications; other queries never do.
type Processes struct {
	mutex sync.Mutex
	open  map[process][]*pool.Server // two servers if PostgreSQL has used a number again before the end of the first was noticed
}

type process struct {
	node int
	pid  uint32
}

func (p *Processes) Opened(s *pool.Server) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.open == nil {
		p.open = map[process][]*pool.Server{}
	}
	it := process{s.Key.Node, s.PID}
	p.open[it] = append(p.open[it], s)
}

func (p *Processes) Closed(s *pool.Server) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	it := process{s.Key.Node, s.PID}
	if i := slices.Index(p.open[it], s); i >= 0 {
		p.open[it] = slices.Delete(p.open[it], i, i+1)
	}
	if len(p.open[it]) == 0 {
		delete(p.open, it)
	}
}

func (p *Processes) Has(node int, pid uint32) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.open[process{node, pid}]) > 0
}

// Known says that a server of some node is the process with that number.
func (p *Processes) Known(pid uint32) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for node := range nodes.MaxIndex + 1 {
		if len(p.open[process{node, pid}]) > 0 {
			return true
		}
	}
	return false
}

// Notified is the client whose notification the process has sent.
func (p *Processes) Notified(node int, pid uint32) (number uint32, ok bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	servers := p.open[process{node, pid}]
	if len(servers) == 0 {
		return 0, false
	}
	number = servers[len(servers)-1].Clients.Notified()
	return number, number != 0
}

// Len is how many processes have an open server.
func (p *Processes) Len() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.open)
}
