package admin

import (
	"strings"

	"pgherd/proxy/status"
)

var showHelp = command{
	name:    "help",
	doc:     "This list.",
	columns: []string{"command", "description"},
}

func init() { showHelp.rows = help } // which lists the table that showHelp is in

func help(*status.State, uint32) (rows [][]string) {
	for _, row := range table {
		rows = append(rows, []string{row.usage(), row.doc})
	}
	return append(rows, elsewhere...)
}

// elsewhere are commands that are answered elsewhere.
var elsewhere = [][]string{
	{"EXPLAIN ROUTE [VERBOSE] statement", "Where a statement would go, and by which rules; VERBOSE shows all rules that were applied."},
	{"PGPOOL SHOW {name | group | ALL}", "Parameters as they are for this session."},
	{"PGPOOL SET name TO {value | DEFAULT}", "A parameter for this session."},
	{"PGPOOL RESET {name | ALL}", "The configuration's value again."},
}

// usage is how the command is written.
func (c *command) usage() string {
	switch {
	case c.of != "":
		return strings.ToUpper(c.name) + " " + c.of
	case c.act != nil:
		return strings.ToUpper(c.name) + " [database]"
	}
	return "SHOW " + strings.ToUpper(c.name)
}

// absent answers a SHOW POOL_... that does not exist, and that PostgreSQL would not know
// either, with the list of those that do.
var absent = command{name: "pool_..."}

// shown are the names that SHOW accepts.
func shown() (names []string) {
	for _, row := range table {
		if row.act == nil {
			names = append(names, strings.ToUpper(row.name))
		}
	}
	return names
}
