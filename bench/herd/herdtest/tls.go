package herdtest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgherd/bench/herd"
)

// psqlLimit is how long psql may take for one thing.
const psqlLimit = 30 * time.Second

// StartTLS starts a herd with TLS and these lines of pg_hba.conf that stops with the test, and
// runs the SQL.
func StartTLS(t testing.TB, sql string, hba ...string) *herd.Herd {
	t.Helper()
	h := Start(t, herd.Settings{TLS: true, HBA: hba})
	ctx, cancel := context.WithTimeout(t.Context(), AnswerLimit)
	defer cancel()
	if _, err := h.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
	return h
}

// Psql runs one command with psql; options are libpq's. It returns what psql prints,
// including errors.
func Psql(t *testing.T, options, password, sql string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), psqlLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "psql", "-XAtq", "-c", sql, "connect_timeout=20 "+options)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + password, "HOME=/nonexistent", "PGPASSFILE=/dev/null"}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
