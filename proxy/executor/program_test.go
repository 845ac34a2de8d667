package executor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgherd/proxy/nodesql"
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
	script("slow", `echo begun; sleep 1000`)
	limited, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if _, err := r.does.Run(limited, &r.nodes[0], "slow"); err == nil || !strings.HasSuffix(err.Error(), "it took too long; its output ends:\nbegun") {
		t.Errorf("got error %v", err)
	}
	if _, err := r.does.Run(r.ctx, &r.nodes[0], "missing"); err == nil || !strings.Contains(err.Error(), "status 127") {
		t.Errorf("got error %v", err)
	}
}

// TestRunScript checks that the extension's function is called where a superuser has made it, in the database or in template1,
// and that the script is run by COPY where not.
func TestRunScript(t *testing.T) {
	r := start(t, 0)
	const create = "CREATE FUNCTION pgpool_recovery(text, text, text, text, integer, text, text) RETURNS bool LANGUAGE sql AS $$ SELECT $1 = 'stage.sh' AND $2 || $3 || $4 || $5 || $6 || $7 = 'hd121p' OR 1 / length($2) > 1 $$"
	run := func(arguments ...string) error {
		_, err := r.does.RunScript(r.ctx, &r.nodes[0], "stage.sh", arguments...)
		return err
	}
	good := []string{"/data", "h", "d", "1", "2", "1", "p"}
	wants := func(err error, want string) {
		t.Helper()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
	wants(run(good...), "status 127")
	r.sql(0, "SET ROLE alice; "+create)
	wants(run(good...), "status 127")
	r.sql(0, "DROP FUNCTION pgpool_recovery")
	r.in("template1", create)
	wants(run(good...), "")
	wants(run("/data", "other", "d", "1", "2", "1", "p"), `on node 0 by pgpool_recovery(): it returned "f"`)
	wants(run("/data", "", "d", "1", "2", "1", "p"), "division by zero")
	r.in("postgres", "CREATE SCHEMA \"Odd\"; CREATE FUNCTION \"Odd\".pgpool_remote_start(text, text) RETURNS bool LANGUAGE sql AS $$ SELECT $1 = 'h' AND $2 = 'd' $$")
	_, err := r.does.RunScript(r.ctx, &r.nodes[0], StartScript, "h", "d")
	wants(err, "")
}

// in runs SQL in a database of the first node, as the superuser.
func (r *real) in(database, sql string) {
	r.Helper()
	access := r.does.access
	access.Database = database
	conn, err := nodesql.Dial(r.ctx, access, &r.nodes[0])
	if err != nil {
		r.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Do(r.ctx, sql); err != nil {
		r.Fatal(err)
	}
}

// TestPreflight checks what is found missing on a primary.
func TestPreflight(t *testing.T) {
	r := start(t, 0)
	data := r.herd.Nodes()[0].Dir
	wants := func(folder, want string) {
		t.Helper()
		missing, err := r.does.Preflight(r.ctx, &r.nodes[0], folder, "it's", "none")
		if got := strings.Join(missing, "; "); err != nil || got != want {
			t.Errorf("got %q, want %q, error %v", got, want, err)
		}
	}
	if err := os.WriteFile(filepath.Join(data, "it's"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	none := "none in the data folder (pgherd recovery-script prints one)"
	wants(data, "the right to execute it's in the data folder (chmod 700); "+none)
	if err := os.Chmod(filepath.Join(data, "it's"), 0o755); err != nil {
		t.Fatal(err)
	}
	wants(data, none)
	wants("/", "the data folder as configured: / is another one; "+none)
	for sql, want := range map[string]string{
		"ALTER SYSTEM SET max_wal_senders = 1":                                       "2 free WAL senders; there are 1 (max_wal_senders)",
		"ALTER SYSTEM SET max_wal_senders = 0; ALTER SYSTEM SET wal_level = minimal": "wal_level = replica; it is minimal; 2 free WAL senders; there are 0 (max_wal_senders)",
	} {
		for _, one := range strings.Split(sql, "; ") {
			r.sql(0, one)
		}
		if err := r.herd.Restart(r.ctx, 0); err != nil {
			t.Fatal(err)
		}
		wants(data, want)
		r.sql(0, "ALTER SYSTEM RESET ALL")
	}
	r.does.access.User, r.does.access.Password = "alice", "alice"
	r.herd.Restart(r.ctx, 0)
	wants(data, "the right of GRANT pg_execute_server_program")
}
