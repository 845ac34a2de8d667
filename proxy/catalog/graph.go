package catalog

// graph says who uses whom. A node is a letter and a name, as in question.sql.
type graph[V ~uint8] struct {
	levels map[string]V        // of nodes that are not 0
	users  map[string][]string // the lowest level of each node
	risen  []string            // nodes whose users have not been told yet
}

func newGraph[V ~uint8]() graph[V] {
	return graph[V]{levels: map[string]V{}, users: map[string][]string{}}
}

// uses notes that one node executes another.
func (g *graph[V]) uses(user, used string) {
	g.users[used] = append(g.users[used], user)
}

// raise makes a node's level at least v. A write to a relation may read it, and a read
// may read what is stored in it.
func (g *graph[V]) raise(node string, v V) {
	if v <= g.levels[node] {
		return
	}
	g.levels[node] = v
	g.risen = append(g.risen, node)
	switch node[0] {
	case 'r':
		g.raise("w"+node[1:], v)
	case 's':
		g.raise("r"+node[1:], v)
	}
}

// settle tells every user of a node the node's level. A node rises at most as often as
// there are levels, so each use is looked at no more often than that.
func (g *graph[V]) settle() {
	for len(g.risen) > 0 {
		node := g.risen[len(g.risen)-1]
		g.risen = g.risen[:len(g.risen)-1]
		for _, user := range g.users[node] {
			g.raise(user, g.levels[node])
		}
	}
}
