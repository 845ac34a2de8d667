package admin

import (
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	for sql, want := range map[string]string{
		"show pool_nodes":                          "pool_nodes",
		"SHOW POOL_NODES":                          "pool_nodes",
		"Show Pool_Nodes;":                         "pool_nodes",
		"  \t\r\n show \n\t pool_version \n;;  ; ": "pool_version",
		"show\tfeatures":                           "features",
		"show pool_processes":                      "pool_processes",
		"show pool_pools":                          "pool_pools",
		"show pool_clients":                        "pool_clients",
		"show pool_nodes" + strings.Repeat(" ", longest-len("show pool_nodes")): "pool_nodes",

		"":                        "",
		"show":                    "",
		"show ":                   "",
		"show;":                   "",
		"showpool_nodes":          "",
		"shov pool_nodes":         "",
		"show pool":               "",
		"show pool_":              "",
		"show pool_nodes_":        "pool_...", // no command has this name
		"show pool_nodes pools":   "",
		"show pool_nodes; select": "",
		";show pool_nodes":        "",
		"show \"pool_nodes\"":     "",
		"show pool_nodes -- x":    "",
		"select 1":                "",
		"show search_path":        "",
		"show pool_nodes\x00":     "pool_...",
		"show pool_nodeſ":         "pool_...", // this letter folds to s, but is no s
		"show pool_nodes" + strings.Repeat(" ", longest): "", // the text is too long for a command
	} {
		command, ok := (&Commands{}).Find([]byte(sql))
		if ok != (want != "") || ok && command.name != want {
			t.Errorf("%q: found: %v", sql, ok)
		}
	}
}

// TestFindAllocatesNothing checks texts that are no commands, because every statement is looked up.
func TestFindAllocatesNothing(t *testing.T) {
	commands := &Commands{}
	for _, sql := range []string{"select 1", "SHOW search_path", "show transaction isolation level; ",
		"SHOW a_parameter_whose_name_is_longer_than_any_of_our_commands", strings.Repeat("select ", 1000)} {
		text := []byte(sql)
		if n := testing.AllocsPerRun(100, func() { commands.Find(text) }); n != 0 {
			t.Errorf("%.40q: got %v allocations, want none", sql, n)
		}
	}
}

// FuzzFind checks that any text that is found is a command of pgherd's, and that it is also found without its spaces and
// semicolons, and in lower case.
func FuzzFind(f *testing.F) {
	f.Add([]byte(" SHOW Pool_Nodes ;"))
	f.Add([]byte("show features"))
	f.Fuzz(func(t *testing.T, sql []byte) {
		command, ok := (&Commands{}).Find(sql)
		if !ok {
			return
		}
		plain := strings.Trim(strings.ToLower(string(sql)), "; \t\r\n")
		if words := strings.Fields(plain); len(words) != 2 || words[0] != "show" || words[1] != command.name && !(command.command == &absent && strings.HasPrefix(words[1], ours)) {
			t.Fatalf("%q was found as %s", sql, command.name)
		}
	})
}
