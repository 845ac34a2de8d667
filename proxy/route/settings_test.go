package route

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgherd/proxy/query"
)

// uniform is a database in which all functions are alike, and all relations.
type uniform struct{ functions, relations Known }

func (u uniform) Function(_, _ string) Known { return u.functions }
func (u uniform) Relation(_, _ string) Known { return u.relations }
func (u uniform) Field(_ string) Known       { return Unheard }
func (uniform) Anything() Known              { return Reads }

// columns are those of testdata/settings.txt. As in place.txt, the brackets have what is configured and what the
// session has done; front is put before the statement.
var columns = []struct {
	what, set, front string
	known            Catalog
}{
	{"as in forms.txt", "", "", everything{}},
	{"load_balance_mode = off", "off", "", everything{}},
	{"a comment in front, allow_sql_comments = off", "", "/* c */ ", everything{}},
	{"a comment in front, allow_sql_comments = on", "comments", "/* c */ ", everything{}},
	{"/*NO LOAD BALANCE*/ in front", "comments", "/*NO LOAD BALANCE*/ ", everything{}},
	{"/*node:1*/ in front", "", "/*node:1*/ ", everything{}},
	{"read_only_function_list = 'f'", "reads=f", "", everything{}},
	{"read_only_function_list = 'f', and functions are volatile", "reads=f", "", uniform{Writes, Reads}},
	{"write_function_list = 'f,lower,max'", "writes=f,lower,max", "", everything{}},
	{"primary_routing_query_pattern_list = 'FROM t'", "pattern=FROM t", "", everything{}},
	{"functions are volatile, or have overloads that are", "", "", uniform{Writes, Reads}},
	{"nothing is known of functions", "", "", uniform{Unheard, Reads}},
	{"relations are temporary (whatever check_temp_table says)", "", "", uniform{Reads, Temporary}},
	{"relations are unlogged (whatever check_unlogged_table says)", "", "", uniform{Reads, Unlogged}},
	{"relations are views over something volatile", "", "", uniform{Reads, Writes}},
	{"relations are the system's own, or sequences", "", "", uniform{Reads, System}},
	{"nothing is known of relations", "", "", uniform{Reads, Unheard}},
	{"an operator, cast or type runs something volatile", "wild", "", wild{}},
	{"nothing is known of the database", "no catalog", "", nil},
	{"disable_load_balance_on_write = off, the session has written", "wrote_ever wrote_block; after=off", "", everything{}},
	{"= transaction (and dml_adaptive, dml_adaptive_global), the session has written", "wrote_ever wrote_block; after=transaction", "", everything{}},
	{"= trans_transaction, the session has written in a block", "wrote_ever wrote_block; after=trans_transaction", "", everything{}},
	{"= always, the session has written", "wrote_ever; after=always", "", everything{}},
	{"in a block, = transaction, an earlier one has written", "open placed wrote_ever wrote_block; after=transaction", "", everything{}},
	{"in a block, = trans_transaction, an earlier one has written", "open placed wrote_ever wrote_block; after=trans_transaction", "", everything{}},
	{"in a block, = always, the session has written", "open placed wrote_ever; after=always", "", everything{}},
	{"in a block that has written, = off", "open placed wrote wrote_ever; after=off", "", everything{}},
	{"in a block, before anything is written", "open placed", "", everything{}},
	{"first in a block of one snapshot", "open snapshot", "", everything{}},
	{"first in a block of one snapshot, READ ONLY", "open snapshot readonly", "", everything{}},
	{"later in that block", "open snapshot readonly placed", "", everything{}},
	{"in a SERIALIZABLE block", "open snapshot serializable placed", "", everything{}},
}

// letter is a decision in the table.
func letter(d Decision) byte {
	return map[Where]byte{Primary: 'P', Anywhere: '.', Here: 'H', Node: 'N'}[d.Where]
}

// TestEveryFormUnderEverySetting compares the route of every form of statement under every setting
// with testdata/settings.txt.
func TestEveryFormUnderEverySetting(t *testing.T) {
	const path = "testdata/settings.txt"
	var out strings.Builder
	out.WriteString("# Where each statement of ../../query/testdata goes under each setting, by its text: . to any node, P to the\n" +
		"# primary, N to the node that the client names, H to the node of its transaction. Columns from the left:\n")
	for i, c := range columns {
		fmt.Fprintf(&out, "# %2d %s\n", i+1, c.what)
	}
	for _, sql := range statementsOf(t) {
		line := make([]byte, 0, len(columns))
		scripts := map[string]*query.Script{} // by the text put before the statement
		for _, c := range columns {
			set, r := setting(t, c.set)
			r.Text, r.Catalog = []byte(c.front+sql), c.known
			if scripts[c.front] == nil {
				scripts[c.front] = query.Parse(r.Text, query.Syntax{})
			}
			r.Script = scripts[c.front]
			line = append(line, letter(Place(&r, &set)))
		}
		if line[0] == 'P' && strings.ContainsAny(string(line), ".N") {
			t.Errorf("%s %s: a setting makes it leave the primary", line, sql)
		}
		fmt.Fprintf(&out, "%s %s\n", line, sql)
	}
	text, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	compare(t, path, string(text), out.String())
}
