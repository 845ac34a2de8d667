package demo

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"pgherd/bench/herd"
)

// TestChecks runs the demo's workload against PostgreSQL itself, which proves that the checks are right. It leaves out only
// commands to pgherd.
func TestChecks(t *testing.T) {
	nodes, err := herd.Start(t.Context(), herd.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nodes.Stop(); err != nil {
			t.Error(err)
		}
	})
	primary := nodes.Nodes()[0]
	run := &workload{nodes: nodes, proxy: &herd.Proxy{Host: primary.Host, Port: primary.Port}}
	for _, c := range checks {
		if saw, err := run.check(t.Context(), c); (err != nil) != (c.name == "nodes" || c.name == "reads") {
			t.Errorf("%s: got %q, error %v", c.name, saw, err)
		}
	}
}

func TestNodesTable(t *testing.T) {
	result := &pgconn.Result{
		FieldDescriptions: []pgconn.FieldDescription{{Name: "status"}, {Name: "node_id"}, {Name: "surprise"}},
		Rows:              [][][]byte{{[]byte("up"), []byte("0"), []byte("x")}, {[]byte("down"), []byte("1"), []byte("x")}},
	}
	lines := strings.Split(formatNodes(result), "\n")
	if got := strings.Fields(lines[2]); got[0] != "1" || got[1] != "?" || got[3] != "down" {
		t.Errorf("the second row is %q", lines[2])
	}
}

func TestScreen(t *testing.T) {
	var terminal, file bytes.Buffer
	for _, s := range []*screen{{out: &terminal, terminal: true}, {out: &file}} {
		for _, table := range []string{"a\nb\n", "a\nb\n", "a\nc\n"} {
			s.show(table)
		}
	}
	if want := "a\nb\n\x1b[2A\x1b[Ja\nb\n\x1b[2A\x1b[Ja\nc\n"; terminal.String() != want {
		t.Errorf("terminal got %q, want %q", terminal.String(), want)
	}
	if want := "a\nb\na\nc\n"; file.String() != want {
		t.Errorf("file got %q, want %q", file.String(), want)
	}
}

func TestCommand(t *testing.T) {
	for _, name := range []string{"port", "once", "chaos", "rounds", "json"} {
		if Command().Flags().Lookup(name) == nil {
			t.Errorf("the demo has no flag %s", name)
		}
	}
}
