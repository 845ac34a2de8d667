package faults_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgherd/bench/herd"
)

const replicationHBA = "host replication all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"

// postgresTool runs one of PostgreSQL's own programs, connected to pgherd.
func postgresTool(t *testing.T, p *herd.Proxy, name string, args ...string) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s is not installed: %v", name, err)
	}
	if p != nil {
		args = append([]string{"-h", p.Host, "-p", fmt.Sprint(p.Port), "-U", herd.Superuser}, args...)
	}
	out, err := program(t, slices.Max(found), args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

func TestReplication(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		proxy := startProxy(t, herd.ProxySettings{HBA: replicationHBA, Config: "io_engine = " + engine})
		for _, c := range []struct {
			name string
			run  func(*testing.T, *herd.Proxy, string)
		}{
			{"identify", identifySystem}, {"receivewal", receiveWAL}, {"recvlogical", receiveLogical}, {"basebackup", baseBackup},
		} {
			t.Run(c.name, func(t *testing.T) { c.run(t, proxy, engine) })
		}
		allIdle(t, proxy)
		eventually(t, "no WAL sender is left", func() error {
			left := direct(t, "SELECT application_name FROM pg_stat_replication WHERE application_name <> 'node1'")
			if left != "" {
				return fmt.Errorf("slot %s is still there", left)
			}
			return nil
		})
	})
}

func identifySystem(t *testing.T, p *herd.Proxy, _ string) {
	system := direct(t, "SELECT system_identifier FROM pg_control_system()")
	for _, kind := range []string{"replication=database dbname=app", "replication=true", "replication=1"} {
		info := fmt.Sprintf("host=%s port=%d user=%s sslmode=disable %s", p.Host, p.Port, herd.Superuser, kind)
		out, err := program(t, "psql", "-XAt", info, "-c", "IDENTIFY_SYSTEM")
		if err != nil || !strings.Contains(out, system) {
			t.Errorf("%s: got %q, error %v", kind, out, err)
		}
	}
}

// receiveWAL streams WAL by a physical slot up to a position, and compares the file.
func receiveWAL(t *testing.T, p *herd.Proxy, engine string) {
	slot, dir := "physical_"+engine, t.TempDir()
	direct(t, "SELECT pg_create_physical_replication_slot('"+slot+"', true)") // --create-slot would make the slot without reserving WAL
	postgresTool(t, p, "pg_receivewal", "-S", slot, "--create-slot", "--if-not-exists")
	file := direct(t, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
	direct(t, "CREATE TABLE received_"+engine+" AS SELECT generate_series(1, 1000) i")
	direct(t, "SELECT pg_switch_wal()")
	end := direct(t, "CREATE TABLE ended_"+engine+" (); SELECT pg_current_wal_lsn()")
	postgresTool(t, p, "pg_receivewal", "-D", dir, "-S", slot, "--no-loop", "--endpos", end)
	postgresTool(t, p, "pg_receivewal", "-S", slot, "--drop-slot")
	got, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(world.herd.Nodes()[0].Dir, "pg_wal", file))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes were received of %s, which differ from the node's %d bytes, error %v", len(got), file, len(want), err)
	}
}

func receiveLogical(t *testing.T, p *herd.Proxy, engine string) {
	slot, file := "logical_"+engine, filepath.Join(t.TempDir(), "out")
	args := []string{"-d", herd.Database, "-S", slot}
	postgresTool(t, p, "pg_recvlogical", append(args, "--create-slot", "-P", "test_decoding")...)
	direct(t, fmt.Sprintf("INSERT INTO kept SELECT 'logical %s', i FROM generate_series(1, 3) i", engine))
	end := direct(t, "SELECT pg_current_wal_lsn()")
	direct(t, "SELECT pg_logical_emit_message(false, 'end', 'of it')") // this makes WAL after the end position
	postgresTool(t, p, "pg_recvlogical", append(args, "--start", "--no-loop", "-f", file, "--endpos", end)...)
	postgresTool(t, p, "pg_recvlogical", append(args, "--drop-slot")...)
	out, err := os.ReadFile(file)
	if n := strings.Count(string(out), "'logical "+engine+"'"); err != nil || n != 3 {
		t.Errorf("got %d decoded rows, error %v:\n%s", n, err, out)
	}
}

// baseBackup copies a whole node, over one connection and over two.
func baseBackup(t *testing.T, p *herd.Proxy, _ string) {
	for _, wal := range []string{"fetch", "stream"} {
		dir := filepath.Join(t.TempDir(), "data")
		postgresTool(t, p, "pg_basebackup", "-D", dir, "-X", wal, "-c", "fast", "--no-sync")
		postgresTool(t, nil, "pg_verifybackup", dir)
	}
}
