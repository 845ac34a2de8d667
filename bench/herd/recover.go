package herd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// Copy makes node i a fresh copy of node from, which runs, and starts it as its standby.
// What node i had is lost. It takes an online backup of the files itself, because pg_basebackup
// has to be of the server's version and comes with few installations of servers alone.
func (h *Herd) Copy(ctx context.Context, i, from int) error {
	n, upstream, err := h.halt(i, from)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(n.Dir); err != nil {
		return fmt.Errorf("copy node %d: %w", from, err)
	}
	if err := h.backup(ctx, upstream, n.Dir); err != nil {
		return fmt.Errorf("copy node %d: %w", from, err)
	}
	return h.follow(ctx, n, upstream)
}

// backup copies the files of a node that runs (26.3.3 in PostgreSQL's manual, "Making a Base
// Backup Using the Low Level API"). WAL is copied last, so that it reaches the end of the backup.
func (h *Herd) backup(ctx context.Context, from *node, to string) error {
	conn, err := pgconn.Connect(ctx, fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", h.Dir, from.Port, Superuser))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	start, stop := "pg_backup_start('copy', true)", "pg_backup_stop(false)"
	if major, _, _ := strings.Cut(conn.ParameterStatus("server_version"), "."); major == "13" || major == "14" {
		start, stop = "pg_start_backup('copy', true, false)", "pg_stop_backup(false, false)"
	}
	if _, err := conn.Exec(ctx, "SELECT "+start).ReadAll(); err != nil {
		return err
	}
	if err := h.copyFiles(ctx, from.Dir, to, "--exclude=./pg_wal/*", "--exclude=./pg_replslot/*", "--exclude=./postmaster.*"); err != nil {
		return err
	}
	results, err := conn.Exec(ctx, "SELECT labelfile FROM "+stop).ReadAll()
	if err != nil {
		return err
	}
	if err := h.owner.write(filepath.Join(to, "backup_label"), string(results[0].Rows[0][0])); err != nil {
		return err
	}
	return h.copyFiles(ctx, filepath.Join(from.Dir, "pg_wal"), filepath.Join(to, "pg_wal"))
}

// copyFiles copies a folder in which files change and vanish meanwhile, which tar reports by
// status 1.
func (h *Herd) copyFiles(ctx context.Context, from, to string, exclude ...string) error {
	const script = `from=$1 to=$2; shift 2
mkdir -p -m 700 "$to" && { tar -C "$from" "$@" -cf "$to.tar" . || [ $? = 1 ]; } && tar -C "$to" -xf "$to.tar" && rm "$to.tar"`
	_, err := run(ctx, h.owner.cred, "sh", append([]string{"-c", script, "sh", from, to}, exclude...)...)
	return err
}

// Rewind takes back what node i has written since it and node from were one, and starts it as
// its standby. The nodes need full_page_writes.
func (h *Herd) Rewind(ctx context.Context, i, from int) error {
	n, upstream, err := h.halt(i, from)
	if err != nil {
		return err
	}
	// A promoted node tells its new timeline only after its first checkpoint.
	if _, err := h.psql(ctx, from, "postgres", "CHECKPOINT"); err != nil {
		return err
	}
	source := fmt.Sprintf("host=%s port=%d user=%s dbname=postgres", h.Dir, upstream.Port, Superuser)
	if _, err := h.tool(ctx, "pg_rewind", "-D", n.Dir, "--source-server="+source, "--no-sync"); err != nil {
		return err
	}
	_ = os.Remove(filepath.Join(n.Dir, "postmaster.pid")) // of a node that was killed
	return h.follow(ctx, n, upstream)
}

// halt stops node i and finds the node that it is to follow.
func (h *Herd) halt(i, from int) (n, upstream *node, err error) {
	if n, err = h.node(i); err != nil {
		return nil, nil, err
	}
	if upstream, err = h.node(from); err != nil {
		return nil, nil, err
	}
	if n.running != nil && !n.running.ended() {
		_ = h.signal(n, syscall.SIGCONT) // a frozen one cannot stop
	}
	return n, upstream, h.stop(n)
}
