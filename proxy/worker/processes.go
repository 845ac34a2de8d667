package worker

import (
	"slices"
	"sync"

	"pgherd/proxy/nodes"
	"pgherd/proxy/pool"
)

// processes are the open servers of all workers, by what PostgreSQL calls them.
// They change when a server is opened or closed, and are asked by statements that
// signal a process and by notifications: never on the way of a query.
type processes struct {
	mutex sync.Mutex
	open  map[process][]*pool.Server // two where the number is another process's before the end of the first was noticed
}

type process struct {
	node int
	pid  uint32
}

func (p *processes) opened(s *pool.Server) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.open == nil {
		p.open = map[process][]*pool.Server{}
	}
	it := process{s.Key.Node, s.PID}
	p.open[it] = append(p.open[it], s)
}

func (p *processes) closed(s *pool.Server) {
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

func (p *processes) has(node int, pid uint32) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.open[process{node, pid}]) > 0
}

// known says that a server of some node is a process of that number.
func (p *processes) known(pid uint32) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for node := range nodes.MaxIndex + 1 {
		if len(p.open[process{node, pid}]) > 0 {
			return true
		}
	}
	return false
}

// notified is the client whose notification the process has sent.
func (p *processes) notified(node int, pid uint32) (number uint32, ok bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	servers := p.open[process{node, pid}]
	if len(servers) == 0 {
		return 0, false
	}
	number = servers[len(servers)-1].Clients.Notified()
	return number, number != 0
}

func (t *task) Holds(node int, pid uint32) bool { return t.w.workers.processes.has(node, pid) }
