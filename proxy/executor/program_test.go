package executor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun runs a program on a node's machine, and checks its output, its exit status, and arguments
// with characters that mean something to a shell or to SQL.
func TestRun(t *testing.T) {
	r := start(t, 0)
	script := func(name, text string) {
		if err := os.WriteFile(filepath.Join(r.herd.Nodes()[0].Dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script("good", `printf '%s|' "$@"; pwd`)
	odd := `it's \ "odd" $HOME ; é` + "\t|"
	output, err := r.does.Run(r.ctx, &r.nodes[0], "good", odd, "")
	if want := strings.Replace(odd, "é", "", 1) + "||" + r.herd.Nodes()[0].Dir; err != nil || output != want {
		t.Errorf("got %q, want %q, error %v", output, want, err)
	}
	script("bad", `i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo "no space left" >&2; exit 7`)
	_, err = r.does.Run(r.ctx, &r.nodes[0], "bad")
	failed, is := errors.AsType[*Exited](err)
	if !is || failed.Status != 7 || !strings.HasSuffix(failed.Output, "no space left") || len(failed.Output) > outputBytes {
		t.Errorf("got error %v", err)
	}
	if _, err := r.does.Run(r.ctx, &r.nodes[0], "missing"); err == nil || !strings.Contains(err.Error(), "status 127") {
		t.Errorf("got error %v", err)
	}
}
