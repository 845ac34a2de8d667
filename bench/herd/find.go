package herd

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// PostgresVariable names an environment variable with the folder of the PostgreSQL
// programs for herds, in place of the newest that is installed.
const PostgresVariable = "PGHERD_POSTGRES"

// Programs is the folder of the programs of PostgreSQL's server that herds run.
func Programs() (string, error) { return findPostgres() }

// findPostgres returns the folder of the programs of PostgreSQL's server.
func findPostgres() (string, error) {
	if dir := os.Getenv(PostgresVariable); dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			return "", fmt.Errorf("find PostgreSQL: %s has to be the folder of initdb and postgres: %w", PostgresVariable, err)
		}
		return filepath.Abs(dir)
	}
	return findNewest("initdb")
}

// findNewest returns the folder of that program in the newest PostgreSQL installed.
func findNewest(program string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if err != nil {
		return "", err
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // not a number: oldest
		return n
	}
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(version(a), version(b)) })), nil
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return "", fmt.Errorf("find PostgreSQL's %s: %w", program, err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", fmt.Errorf("find PostgreSQL's %s: %w", program, err)
	}
	return filepath.Dir(path), nil
}

// Tool is the path of one of PostgreSQL's programs: of the herd's version, or a
// client of the newest installed one if the herd's comes without clients.
func (h *Herd) Tool(name string) string {
	path := filepath.Join(h.bin, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if dir, err := findNewest(name); err == nil {
		return filepath.Join(dir, name)
	}
	return path // whoever starts it reports that it does not exist
}
