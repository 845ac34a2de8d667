package worker

import (
	"sync"

	"pgherd/proxy/pool"
)

// processes are the open servers of all workers, by what PostgreSQL calls them.
// They change when a server is opened or closed, and are asked by statements that
// signal a process: never on the way of a query.
type processes struct {
	mutex sync.Mutex
	open  map[process]int // 2 where the number is another process's before the end of the first was noticed
}

type process struct {
	node int
	pid  uint32
}

func (p *processes) add(s *pool.Server, n int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.open == nil {
		p.open = map[process]int{}
	}
	it := process{s.Key.Node, s.PID}
	if p.open[it] += n; p.open[it] == 0 {
		delete(p.open, it)
	}
}

func (p *processes) opened(s *pool.Server) { p.add(s, 1) }
func (p *processes) closed(s *pool.Server) { p.add(s, -1) }

func (p *processes) has(node int, pid uint32) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.open[process{node, pid}] > 0
}

func (t *task) Holds(node int, pid uint32) bool { return t.w.crew.processes.has(node, pid) }
