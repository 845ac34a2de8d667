package catalog

// graph says who uses whom. A node is a letter and a name, as in question.sql.
type graph struct {
	verdicts map[string]Verdict  // of nodes that are not Harmless
	users    map[string][]string // who is at least what the node is
	names    map[string]bool     // of functions and of relations that use something
	risen    []string            // nodes whose users have not been told yet
}

// uses notes that a node carries out another.
func (g *graph) uses(user, used string) {
	g.users[used] = append(g.users[used], user)
	if used[0] == 'b' {
		g.raise(used, builtins()[used[1:]])
	}
}

// function judges one overload by itself. All names have to be known by then.
func (g *graph) function(name, language, volatility, source string) {
	node := "f" + name
	immutable, aggregate := volatility[:min(1, len(volatility))] == "i", volatility[min(1, len(volatility)):] == "a"
	switch {
	case aggregate: // what it calls are uses
	case immutable:
	case language == "sql" || language == "plpgsql":
		g.body(node, judge(source, language))
	case language == "c" || language == "internal":
		g.raise(node, judgeNative(name, volatility))
	default:
		g.raise(node, Keeps)
	}
}

func (g *graph) body(node string, f finding) {
	g.raise(node, f.verdict)
	if f.ddl {
		g.uses(node, "d")
	}
	for word := range f.words {
		if g.names[word] {
			g.uses(node, "f"+word)
			g.uses(node, "w"+word)
		}
	}
}

// judgeNative: what C does is not to be seen, only what it is declared to be.
func judgeNative(name, volatility string) Verdict {
	if v, known := native[name]; known {
		return v
	}
	if volatility[:min(1, len(volatility))] == "s" {
		return Harmless
	}
	return Keeps
}

// raise makes a node's verdict at least v. Who writes to a relation may read it.
func (g *graph) raise(node string, v Verdict) {
	if v <= g.verdicts[node] {
		return
	}
	g.verdicts[node] = v
	g.risen = append(g.risen, node)
	if node[0] == 'r' {
		g.raise("w"+node[1:], v)
	}
}

// settle tells every user what it uses. A node rises at most twice, so that each
// use is looked at twice at most.
func (g *graph) settle() {
	for len(g.risen) > 0 {
		node := g.risen[len(g.risen)-1]
		g.risen = g.risen[:len(g.risen)-1]
		for _, user := range g.users[node] {
			g.raise(user, g.verdicts[node])
		}
	}
}
