package failover

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd/herdtest"
)

// TestRecover makes the lost primary a standby of the new one by RECOVER, while a client goes on.
func TestRecover(t *testing.T) {
	w := start(t, "admin_users = 'alice'\nrecovery_1st_stage_command = 'recovery_1st_stage'\nrecovery_timeout = 60\n")
	conn := w.connect()
	herdtest.MustAsk(t, conn, "INSERT INTO ledger VALUES (1)")
	if err := w.herd.Slay(0); err != nil {
		t.Fatal(err)
	}
	herdtest.MustAsk(t, conn, "INSERT INTO ledger VALUES (2)")
	primary := int(w.primary(conn)[4] - '0')
	other := 3 - primary
	if _, err := herdtest.Ask(conn, fmt.Sprint("RECOVER ", other)); err == nil || !strings.Contains(err.Error(), "PostgreSQL answers there") {
		t.Errorf("RECOVER of a node that runs: got error %v", err)
	}
	_, err := herdtest.Ask(conn, "RECOVER 0")
	if err == nil || !strings.Contains(err.Error(), "recover node 0, preflight: ") || !strings.Contains(err.Error(), "lacks: recovery_1st_stage in the data folder") {
		t.Errorf("RECOVER without a script: got error %v", err)
	}
	data := w.herd.Nodes()[primary].Dir
	script(t, data, "pgpool_remote_start", `touch "$2/to-be-started"`)
	script(t, data, "recovery_1st_stage", "echo no space left on device; exit 3")
	_, err = herdtest.Ask(conn, "RECOVER 0")
	if err == nil || !strings.Contains(err.Error(), "recover node 0, 1st stage: ") || !strings.Contains(err.Error(), "status 3; its output ends:\nno space left on device") {
		t.Errorf("RECOVER with a script that fails: got error %v", err)
	}
	script(t, data, "recovery_1st_stage", fmt.Sprintf(`set -e
rm -rf "$3"
%s -h %s -p "$4" -U postgres -D "$3" -X stream -c fast
echo "primary_conninfo = 'host=$7 port=$4 user=postgres password=postgres application_name=node$5'" >> "$3/postgresql.auto.conf"
touch "$3/standby.signal"
`, w.herd.Tool("pg_basebackup"), w.herd.Dir))
	started := make(chan error, 1)
	go func() { started <- w.startWhenAsked(0) }()
	herdtest.MustAsk(t, conn, "RECOVER 0")
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if got := herdtest.MustAsk(t, conn, "SHOW POOL_RECOVERY"); got != "0" {
		t.Errorf("SHOW POOL_RECOVERY shows node %q", got)
	}
	herdtest.MustAsk(t, conn, "INSERT INTO ledger VALUES (3)")
	herdtest.Eventually(t, "the recovered node has the rows", func() error {
		if got := w.on(0, "SELECT count(*) FROM ledger WHERE id = 3"); got != "1" {
			return fmt.Errorf("the row count is %s", got)
		}
		return nil
	})
}

func script(t *testing.T, folder, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// startWhenAsked starts a node once the script asks for that.
func (w *world) startWhenAsked(node int) error {
	mark := filepath.Join(w.herd.Nodes()[node].Dir, "to-be-started")
	for {
		if _, err := os.Stat(mark); err == nil {
			return w.herd.Restart(w.ctx, node)
		}
		select {
		case <-time.After(herdtest.PollEvery):
		case <-w.ctx.Done():
			return w.ctx.Err()
		}
	}
}
