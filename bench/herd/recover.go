package herd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Copy makes node i a fresh copy of node from, which runs, and starts it as its standby.
// What node i had is lost.
func (h *Herd) Copy(ctx context.Context, i, from int) error {
	n, upstream, err := h.halt(i, from)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(n.Dir); err != nil {
		return fmt.Errorf("copy node %d: %w", from, err)
	}
	if _, err := h.tool(ctx, "pg_basebackup", "-h", h.Dir, "-p", fmt.Sprint(upstream.Port), "-U", Superuser,
		"-D", n.Dir, "-X", "stream", "-c", "fast", "--no-sync"); err != nil {
		return err
	}
	return h.follow(ctx, n, upstream)
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
