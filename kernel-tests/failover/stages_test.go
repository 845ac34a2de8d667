package failover

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
)

// TestSecondStage runs recovery_2nd_stage_command: it begins once the transactions that run have ended, new ones wait until
// it has ended, and nobody gets an error.
func TestSecondStage(t *testing.T) {
	w := scene{sync: anyOne, herd: herd.Settings{Config: []string{"full_page_writes = on"}}, config: []string{"admin_users = 'alice'",
		"pool_mode = transaction", "recovery_1st_stage_command = 'recovery_1st_stage'", "recovery_2nd_stage_command = 'second'"}}.start(t)
	w.installScripts("")
	begun, end := filepath.Join(w.herd.Dir, "begun"), filepath.Join(w.herd.Dir, "end")
	w.must(w.herd.Slay(2))
	w.shows(name(2), "down")
	for _, n := range w.herd.Nodes() {
		w.install(filepath.Join(n.Dir, "second"), fmt.Sprintf("#!/bin/sh\ntouch %s; while [ ! -e %s ]; do sleep 0.1; done; echo \"$5 $7\"\n", begun, end), 0o700)
	}
	holder, waiter, operator := w.connect(), w.connect(), w.connect()
	w.ask(holder, "BEGIN; INSERT INTO ledger VALUES (1)")
	recovered := make(chan error, 1)
	w.endsWithTest(2)
	go func() {
		_, err := herdtest.Ask(operator, "RECOVER 2")
		recovered <- err
	}()
	w.eventually("the second stage waits for the transaction", func() error {
		if got := w.cell("SHOW POOL_RECOVERY", "2nd stage"); !got {
			return errors.New("SHOW POOL_RECOVERY tells another step")
		}
		return nil
	})
	if _, err := os.Stat(begun); err == nil {
		t.Error("the second stage has begun during a transaction")
	}
	w.ask(holder, "COMMIT")
	w.eventually("the second stage has begun", func() error { _, err := os.Stat(begun); return err })
	written := make(chan error, 1)
	go func() {
		_, err := herdtest.Ask(waiter, "INSERT INTO ledger VALUES (2)")
		written <- err
	}()
	w.eventually("the client waits", func() error {
		if !w.cell("SHOW POOL_CLIENTS", "wait_server") {
			return errors.New("no client waits for a server")
		}
		return nil
	})
	if got := w.on(0, "SELECT count(*) FROM ledger WHERE id = 2"); got != "0" {
		t.Error("a transaction has run during the second stage")
	}
	w.must(os.WriteFile(end, nil, 0o644))
	w.must(<-written)
	w.must(<-recovered)
	for _, text := range []string{`second has ended node=0 output="2 127.0.0.1"`, "pg_rewind: done"} { // the standby has crashed, and is rewound
		if log := w.log(); !strings.Contains(log, text) {
			t.Errorf("the log does not tell %s:\n%s", text, log)
		}
	}
}

// TestRecoverFrozen checks that the data of a node are left alone that does not answer, but runs.
func TestRecoverFrozen(t *testing.T) {
	w := start(t, "admin_users = 'alice'", "recovery_1st_stage_command = 'recovery_1st_stage'", "health_check_timeout = 1")
	w.installScripts("")
	w.must(w.herd.Freeze(2))
	w.shows(name(2), "down")
	_, err := herdtest.Ask(w.eye, "RECOVER 2")
	if err == nil || !strings.Contains(err.Error(), "PostgreSQL runs in "+w.herd.Nodes()[2].Dir) {
		t.Errorf("got error %v", err)
	}
	w.must(w.herd.Thaw(2))
	w.shows(name(2), "up")
}

// cell says that a command's answer has this value somewhere.
func (w *world) cell(command, value string) bool {
	w.Helper()
	results, err := w.eye.Exec(w.ctx, command).ReadAll()
	w.must(err)
	for _, row := range results[0].Rows {
		for _, cell := range row {
			if string(cell) == value {
				return true
			}
		}
	}
	return false
}

// functions are those of Pgpool-II's extension, made of COPY ... TO PROGRAM.
const functions = `CREATE FUNCTION pgpool_recovery(text, text, text, text, integer, text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', format('./%s "$PWD" %s %s %s %s %s %s >/dev/null', $1, $2, $3, $4, $5, $6, $7)); RETURN true; END $$;
CREATE FUNCTION pgpool_remote_start(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', format('./pgpool_remote_start %s %s', $1, $2)); RETURN true; END $$`

// TestRecoveryFunctions recovers a standby by the functions of Pgpool-II's extension, which pgherd prefers.
func TestRecoveryFunctions(t *testing.T) {
	w := scene{sync: anyOne, config: []string{"admin_users = 'alice'", "recovery_1st_stage_command = 'recovery_1st_stage'", "recovery_database = 'app'"}, sql: functions}.start(t)
	w.installScripts("rewind=no\nuse_slot=no\n")
	w.must(w.herd.Slay(2))
	w.shows(name(2), "down")
	w.recovers(2)
	w.shows(name(2), "up")
	if got := w.on(2, "SHOW primary_slot_name"); got != "" {
		t.Errorf("the standby has the slot %q", got)
	}
	// A function returns no output.
	if log := w.log(); !strings.Contains(log, "recovery_1st_stage has ended node=0\n") || !strings.Contains(log, "pgpool_remote_start has ended node=0\n") {
		t.Errorf("the scripts were not run by the functions:\n%s", log)
	}
}
