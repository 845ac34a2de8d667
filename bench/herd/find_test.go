package herd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindPostgres(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(PostgresVariable, dir)
	if found, err := findPostgres(); err == nil || !strings.Contains(err.Error(), PostgresVariable) {
		t.Errorf("a folder without initdb: %q, %v", found, err)
	}
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	bin, err := findPostgres()
	if err != nil || bin != dir {
		t.Fatalf("found %q, %v; want %q", bin, err, dir)
	}
	h := &Herd{bin: bin}
	if got := h.Tool("postgres"); got != filepath.Join(dir, "postgres") {
		t.Errorf("postgres is %q, want the folder's", got)
	}
	if got := h.Tool("psql"); !filepath.IsAbs(got) || filepath.Dir(got) == dir {
		t.Errorf("psql is %q, want the installed one, as the folder has none", got)
	}
}
