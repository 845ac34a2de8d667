package supervisor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgherd/proxy/failover"
)

// herd is a herd in the middle of an election.
func herd(t *testing.T) failover.Herd {
	h := failover.New()
	for _, c := range []failover.Command{
		{Kind: failover.MakePrimary, Node: 0, Timeline: 3, System: 1<<64 - 1},
		{Kind: failover.MarkUp, Epoch: 1, Node: 1},
		{Kind: failover.FailNode, Epoch: 1, Node: 0, Reason: "a reason"},
	} {
		next, err := failover.Apply(h, c)
		if err != nil {
			t.Fatal(err)
		}
		h = next
	}
	return h
}

func TestFile(t *testing.T) {
	f := File{Path: filepath.Join(t.TempDir(), "state.json"), Nodes: []string{"0 a:5432", "1 b:5432"}}
	if h, err := f.Load(); err != nil || h.Epoch != 0 {
		t.Errorf("without a file: got herd %+v, error %v", h, err)
	}
	want := herd(t)
	if err := f.Save(want); err != nil {
		t.Fatal(err)
	}
	got, err := f.Load()
	if err != nil || got.Epoch != 2 || got.Phase != failover.Electing || got.Former != 0 || got.System != 1<<64-1 || !got.Doubt || len(got.Nodes) != 2 {
		t.Errorf("loaded herd %+v, error %v", got, err)
	}
	whole, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	for length := range len(whole) - 1 { // the last byte is only the end of the line
		if err := os.WriteFile(f.Path, whole[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		if h, err := f.Load(); err == nil || errors.Is(err, ErrOtherNodes) || h.Epoch != 0 {
			t.Errorf("first %d bytes of a file: got herd %+v, error %v", length, h, err)
		}
	}
}

// TestFileOf checks files that are not what Save writes.
func TestFileOf(t *testing.T) {
	for text, want := range map[string]string{
		`{"nodes": ["7 c:5432"], "herd": {"phase": "steady", "primary": -1}}`:                                        "other nodes",
		`{"nodes": ["0 b:5432", "1 a:5432"], "herd": {"phase": "steady", "primary": -1}}`:                            "other nodes",
		`{"nodes": ["0 a:5432", "7 c:5432"], "herd": {"epoch": 1, "phase": "steady", "primary": 7}}`:                 "its primary is not configured",
		`{"nodes": ["0 a:5432", "7 c:5432"], "herd": {"epoch": 1, "phase": "electing", "primary": -1, "former": 7}}`: "its primary is not configured",
		`{}`:                                  "no nodes",
		`{"nodes": ["0 a:5432", "1 b:5432"]}`: "read",
		`{"nodes": ["0 a:5432", "1 b:5432"], "herd": {"epoch": 1, "phase": "dancing"}}`:             "there is no phase",
		`{"nodes": ["0 a:5432", "1 b:5432"], "herd": {"epoch": 1, "phase": "steady","primary":-1}}`: "primary -1 while steady",
	} {
		f := File{Path: filepath.Join(t.TempDir(), "state.json"), Nodes: []string{"0 a:5432", "1 b:5432"}}
		if err := os.WriteFile(f.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := f.Load()
		if err == nil || !strings.Contains(err.Error(), want) || h.Epoch != 0 {
			t.Errorf("%s: got herd %+v, error %v, want error %s", text, h, err, want)
		}
	}
}

// TestFileThatCannotBeWritten checks that a command whose herd could not be written is not applied, that the earlier file stays
// whole, and that nothing else is left in the folder.
func TestFileThatCannotBeWritten(t *testing.T) {
	folder := t.TempDir()
	f := File{Path: filepath.Join(folder, "state.json"), Nodes: []string{"0 a:5432"}}
	applied := 0
	lone := NewLone(f, failover.New(), func(failover.Command) error { applied++; return nil })
	first := failover.Command{Kind: failover.MakePrimary, Node: 0, Timeline: 3, System: 7}
	if err := lone.Propose(context.Background(), first); err != nil || applied != 1 || !lone.Leads() {
		t.Fatal(applied, err)
	}
	if err := lone.Propose(context.Background(), first); err == nil || applied != 1 {
		t.Error("a command that is refused is applied", err)
	}
	lone.file.Path = filepath.Join(folder, "gone", "state.json")
	fail := failover.Command{Kind: failover.FailNode, Epoch: 1, Node: 0}
	if err := lone.Propose(context.Background(), fail); err == nil || applied != 1 {
		t.Error("a command that was not written is applied", err)
	}
	lone.file.Path = folder // a folder cannot be replaced by a file
	if err := lone.Propose(context.Background(), fail); err == nil || applied != 1 {
		t.Error("a command that was not written is applied", err)
	}
	if h, err := f.Load(); err != nil || h.Epoch != 1 {
		t.Errorf("loaded herd %+v, error %v, want the one of epoch 1", h, err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, error %v, want one file", entries, err)
	}
	lone.file.Path = f.Path
	if err := lone.Propose(context.Background(), fail); err != nil || applied != 2 {
		t.Error(applied, err)
	}
}

// TestFileAfterAReload checks that the herd's state is kept when a node is added or removed. The primary and its timeline are
// known after the next start.
func TestFileAfterAReload(t *testing.T) {
	h := failover.New()
	h.Epoch, h.Primary, h.Timeline = 3, 0, 2
	f := File{Path: filepath.Join(t.TempDir(), "state.json"), Nodes: []string{"0 a:5432", "1 b:5432"}}
	if err := f.Save(h); err != nil {
		t.Fatal(err)
	}
	for _, now := range [][]string{{"0 a:5432", "1 b:5432", "2 c:5432"}, {"0 a:5432"}, {"0 a:5432", "2 c:5432"}} {
		f.Nodes = now
		if got, err := f.Load(); err != nil || got.Epoch != 3 || got.Primary != 0 || got.Timeline != 2 {
			t.Errorf("with nodes %v: got herd %+v, error %v", now, got, err)
		}
	}
}
