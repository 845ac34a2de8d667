package worker

import (
	"fmt"
	"strconv"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

// letIn is, for a simulated server of pgherd's, the version of what log-ins rest on: the one under
// which it was let in, the present one, and the one under which a client came.
type letIn struct {
	letInOn  int
	standing func() int
	came     func(client int) int
}

// welcome records a fault if a client gets a server that was let in before the last change before that
// client came.
func (p *postgres) welcome(id int, sql string) {
	if p.came != nil && p.letInOn < p.came(id) {
		p.fault = fmt.Sprintf("a server that was let in under version %d got %q of a client that came under version %d", p.letInOn, sql, p.came(id))
	}
}

func asksStanding(sql string) bool { return sql == pool.AdmissionQuestion }

// tellStanding answers the question for what log-ins rest on.
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

// simHeld is what a server holds of a client's state.
type simHeld struct {
	temp  bool
	owner int
}

// keep makes a temporary object for a client.
func (p *postgres) keep(id string) {
	p.temp = true
	p.owner, _ = strconv.Atoi(id)
}

// unseen runs a function whose effects the text does not show. It does not change the style, because
// it would not be known under which style a statement is parsed after it.
func (p *postgres) unseen(words []string, n int) {
	switch n % 3 {
	case 0:
		p.set("param", words[2])
	case 1:
		p.keep(words[0])
		p.was = simHeld{p.temp, p.owner} // this plays a lock, which a rollback does not take back
	}
}
