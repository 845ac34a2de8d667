package recovery

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestScriptsAreShell checks that a shell reads the scripts, and that no part is missing.
func TestScriptsAreShell(t *testing.T) {
	for _, name := range Scripts() {
		text := Script(name)
		check := exec.Command("sh", "-n")
		check.Stdin = strings.NewReader(text)
		if out, err := check.CombinedOutput(); err != nil || strings.Contains(text, strings.TrimSpace(targetMark)) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// TestFirstStageRefuses checks what the first script refuses before it does anything.
func TestFirstStageRefuses(t *testing.T) {
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "pg_tblspc"), 0o700); err != nil {
		t.Fatal(err)
	}
	arguments := func(changed int, value string) []string {
		list := []string{data, "127.0.0.1", data + "/other", "5432", "2", "5433", "127.0.0.1"}
		list[changed] = value
		return list
	}
	for want, list := range map[string][]string{
		"arguments: want 7 arguments":                            {data},
		"arguments: 54x is not a number":                         arguments(3, "54x"),
		"arguments: the data folder of the node, here, is not":   arguments(2, "here"),
		"arguments: the node has the data folder of the primary": arguments(2, data),
		"arguments: 192.0.2.1 cannot reach the primary as 127":   arguments(1, "192.0.2.1"),
	} {
		run := exec.Command("sh", append([]string{"-s", "--"}, list...)...)
		run.Dir, run.Stdin = data, strings.NewReader(Script("1st_stage"))
		if out, err := run.CombinedOutput(); err == nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("got %v and %q, want %q", err, out, want)
		}
	}
}

// TestQuoting checks that words arrive at the node as they are, whatever they contain.
func TestQuoting(t *testing.T) {
	words := []string{"", "a b", "it's", `"$(date)"`, `\'`, "*", "-x"}
	call := `set -eu; step=test; ` + part("target") + `eval "printf '<%s>' $(quoted "$@")"`
	out, err := exec.Command("sh", append([]string{"-c", call, "sh"}, words...)...).CombinedOutput()
	if want := "<" + strings.Join(words, "><") + ">"; err != nil || string(out) != want {
		t.Errorf("got %v and %s, want %s", err, out, want)
	}
}

// TestOnAnotherMachine checks what ssh is called with, and that its shell gets the script and the words as they are.
func TestOnAnotherMachine(t *testing.T) {
	folder := t.TempDir()
	ssh := "#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\nprintf '%s:' \"$1\"\nexec sh -c \"$2\"\n"
	if err := os.WriteFile(filepath.Join(folder, "ssh"), []byte(ssh), 0o755); err != nil {
		t.Fatal(err)
	}
	words := []string{"it's", "", "a  b", "$(date)"}
	call := "set -eu; step=test; ssh_user=pg; " + part("target") + "on 192.0.2.1 \"$@\" <<'END'\nprintf '<%s>' \"$@\"\nEND\n"
	run := exec.Command("sh", append([]string{"-c", call, "sh"}, words...)...)
	run.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"))
	out, err := run.CombinedOutput()
	if want := "pg@192.0.2.1:<" + strings.Join(words, "><") + ">"; err != nil || string(out) != want {
		t.Errorf("got %v and %s, want %s", err, out, want)
	}
}
