package worker

import (
	"fmt"
	"strconv"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// letIn is, of a server of pgherd's in the simulation, what it was let in on, what log-ins
// stand on now, and what they stood on when a client came.
type letIn struct {
	letInOn  int
	standing func() int
	came     func(client int) int
}

// welcome: no client is to get a server that was let in on what had changed before it came.
func (p *postgres) welcome(id int, sql string) {
	if p.came != nil && p.letInOn < p.came(id) {
		p.fault = fmt.Sprintf("a server that was let in on %d got %q, of a client that has come since %d", p.letInOn, sql, p.came(id))
	}
}

func asksStanding(sql string) bool { return sql == pool.AdmissionQuestion }

// tellStanding answers what log-ins stand on.
func (p *postgres) tellStanding() {
	for range 3 {
		p.done("SET")
	}
	f := p.finding()
	p.out = wire.AppendTextColumns(p.out, "whose", "state", "loaded")
	p.out = wire.AppendTextRow(p.out, f.Whose, f.State, f.Loaded)
	p.done("SELECT 1")
	p.ready()
}

func (p *postgres) finding() pool.Finding {
	if p.standing == nil {
		return pool.Finding{}
	}
	return pool.Finding{Whose: "1/1", State: strconv.Itoa(p.standing())}
}

// simHeld is what a server has of a client's.
type simHeld struct {
	temp  bool
	owner int
}

// keep makes a temporary object for a client.
func (p *postgres) keep(id string) {
	p.temp = true
	p.owner, _ = strconv.Atoi(id)
}

// unseen runs a function that does things unseen; but it does not change the style: nobody could
// tell what a statement means that is parsed behind it.
func (p *postgres) unseen(words []string, n int) {
	switch n % 3 {
	case 0:
		p.set("param", words[2])
	case 1:
		p.keep(words[0])
		p.was = simHeld{p.temp, p.owner} // a lock, which a rollback does not take back
	}
}
