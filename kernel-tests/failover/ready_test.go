package failover

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pgherd/bench/herd"
	"pgherd/bench/herd/herdtest"
	"pgherd/proxy/recovery"
)

// TestReadyScripts loses the primary twice, and makes it a standby by the scripts that pgherd prints: the first time its
// data are rewound, the second time they are lost and copied.
func TestReadyScripts(t *testing.T) {
	w := scene{sync: anyOne, herd: herd.Settings{Config: []string{"full_page_writes = on"}},
		config: []string{"admin_users = 'alice'", "recovery_1st_stage_command = 'recovery_1st_stage'"}}.start(t)
	w.installScripts("")
	conn := w.connect()
	for i, how := range []string{"pg_rewind: done", "pg_rewind: not possible, because there is no data folder that can be read"} {
		w.ask(conn, fmt.Sprintf("INSERT INTO ledger VALUES (%d)", 1000+2*i))
		lost := number(w.primary(conn))
		w.must(w.herd.Slay(lost))
		w.promoted(lost)
		if i == 1 {
			w.losesData(lost)
		}
		w.recovers(lost)
		if log := w.log(); !strings.Contains(log, how) {
			t.Errorf("pgherd's log does not tell %q:\n%s", how, log)
		}
		w.ask(conn, fmt.Sprintf("INSERT INTO ledger VALUES (%d)", 1001+2*i))
		w.eventually("the recovered node has all rows", func() error {
			if got := w.on(lost, "SELECT count(*) FROM ledger WHERE id >= 1000"); got != strconv.Itoa(2*i+2) {
				return fmt.Errorf("the row count is %s", got)
			}
			return nil
		})
		settings := map[string]string{"SHOW primary_slot_name": name(lost), "SHOW port": strconv.Itoa(w.herd.Nodes()[lost].Port)}
		if i == 0 {
			settings["SHOW cluster_name"] = name(lost) // from the node's own configuration
		}
		for sql, want := range settings {
			if got := w.on(lost, sql); got != want {
				t.Errorf("%s on node %d: got %q, want %q", sql, lost, got, want)
			}
		}
	}
}

// losesData removes a node's data folder. In its place is a folder of somebody else's first, which the script leaves alone.
func (w *world) losesData(node int) {
	w.Helper()
	folder := w.herd.Nodes()[node].Dir
	w.must(os.RemoveAll(folder))
	w.must(os.Mkdir(folder, 0o755))
	w.must(os.WriteFile(filepath.Join(folder, "photo"), nil, 0o644))
	_, err := herdtest.Ask(w.eye, fmt.Sprint("RECOVER ", node))
	if want := folder + " is neither empty nor a data folder of PostgreSQL"; err == nil || !strings.Contains(err.Error(), want) {
		w.Errorf("RECOVER into a folder of somebody else's: got error %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "photo")); err != nil {
		w.Error(err)
	}
	w.must(os.RemoveAll(folder))
}

// recovers runs RECOVER.
func (w *world) recovers(node int) {
	w.Helper()
	w.endsWithTest(node)
	herdtest.MustAsk(w.T, w.eye, fmt.Sprint("RECOVER ", node))
}

// endsWithTest sees to it that a node that a script starts ends with the test.
func (w *world) endsWithTest(node int) {
	w.Cleanup(func() {
		text, err := os.ReadFile(filepath.Join(w.herd.Nodes()[node].Dir, "postmaster.pid"))
		if err != nil {
			return
		}
		first, _, _ := strings.Cut(string(text), "\n")
		pid, err := strconv.Atoi(first)
		w.must(err)
		_ = syscall.Kill(pid, syscall.SIGQUIT)
		w.eventually("the node has ended", func() error {
			if syscall.Kill(pid, 0) == nil {
				return fmt.Errorf("process %d lives", pid)
			}
			return nil
		})
	})
}

// installScripts puts the ready scripts into the data folders, with these settings besides.
func (w *world) installScripts(settings string) {
	w.Helper()
	pass := filepath.Join(w.herd.Dir, "passwords")
	w.install(pass, "*:*:*:postgres:postgres\n", 0o600)
	for _, n := range w.herd.Nodes() {
		own := filepath.Join(n.Dir, "postgresql.conf")
		text, err := os.ReadFile(own)
		w.must(err)
		w.install(own, string(text)+"cluster_name = '"+name(n.Index)+"'\n", 0o600)
		w.install(filepath.Join(n.Dir, "recovery_1st_stage"), recovery.Script("1st_stage"), 0o700)
		w.install(filepath.Join(n.Dir, "pgpool_remote_start"), recovery.Script("remote_start"), 0o700)
		w.install(filepath.Join(n.Dir, "pgherd_recovery.conf"), "replication_user=postgres\nadmin_user=postgres\npassfile='"+pass+"'\n"+settings, 0o600)
	}
}

// install writes a file that is the user's as whom PostgreSQL runs.
func (w *world) install(path, text string, mode os.FileMode) {
	w.Helper()
	w.must(os.WriteFile(path, []byte(text), mode))
	cred, err := herd.Unprivileged()
	w.must(err)
	if cred != nil {
		w.must(os.Chown(path, int(cred.Uid), int(cred.Gid)))
	}
}
