package worker

import "strconv"

// simDatabase is what the servers of one database share: what RUN does. If it is leaky, RUN leaves
// something for which a server cannot be asked.
type simDatabase struct {
	leaky   bool
	version int
	rows    map[string]int // what was written and committed, and how often
}

// catalog answers pgherd's question for the catalog.
func (d *simDatabase) catalog() [][]string {
	source := "BEGIN RETURN 1; END"
	if d.leaky {
		source = "BEGIN PERFORM set_config('app.user', 'x', false); END"
	}
	return [][]string{{"version", strconv.Itoa(d.version), "read committed", "", ""}, {"function", "f", "plpgsql", "sf", source},
		{"function", "g", "plpgsql", "sf", "BEGIN PERFORM f(); END"}}
}

// define runs DEFINE, which changes what RUN does, or RUN itself.
func (p *postgres) define(verb string, n int, id string) {
	leaky := p.database.leaky
	if p.defining != nil {
		leaky = *p.defining
	}
	if verb == "DEFINE" {
		leaky = n%2 == 0
		p.defining = &leaky
	} else if leaky {
		p.hiding, _ = strconv.Atoi(id)
	}
}

// commit makes last what is not a setting.
func (p *postgres) commit() {
	if p.hiding != 0 {
		p.secret = p.hiding
	}
	if p.defining != nil {
		p.database.leaky = *p.defining
		p.database.version++
	}
	for _, row := range p.written {
		if p.database.rows == nil {
			p.database.rows = map[string]int{}
		}
		p.database.rows[row]++
	}
}
