package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dependenciesFile says why this module uses each module that it uses directly.
const dependenciesFile = "docs/decisions/0001-dependencies.md"

// required are the modules that go.mod names, with whether they are direct. tools are the programs that it names.
func required(goMod string) (direct map[string]bool, tools []string) {
	direct = map[string]bool{}
	block := ""
	for line := range strings.Lines(goMod) {
		text, comment, _ := strings.Cut(line, "//")
		words := strings.Fields(text)
		switch {
		case len(words) == 0:
		case words[0] == ")":
			block = ""
		case len(words) == 2 && words[1] == "(":
			block = words[0]
		case block == "require":
			direct[words[0]] = strings.TrimSpace(comment) != "indirect"
		case words[0] == "require":
			direct[words[1]] = strings.TrimSpace(comment) != "indirect"
		case block == "tool":
			tools = append(tools, words[0])
		case words[0] == "tool":
			tools = append(tools, words[1])
		}
	}
	return direct, tools
}

// moduleOf is the required module that a package belongs to.
func moduleOf(target string, direct map[string]bool) (found string) {
	for name := range direct {
		if (target == name || strings.HasPrefix(target, name+"/")) && len(name) > len(found) {
			found = name
		}
	}
	return found
}

// checkDirect requires that go.mod lists as direct exactly what this module imports. `go mod tidy` finds that, too, but needs
// modules that a build does not need.
func checkDirect(goMod string, imports []string) (broken []string) {
	direct, _ := required(goMod)
	used := map[string]bool{}
	for _, target := range imports {
		used[moduleOf(target, direct)] = true
	}
	for name, said := range direct {
		if said != used[name] {
			broken = append(broken, "go.mod: "+name+" has to be listed as go mod tidy lists it, as one that our files import or as // indirect")
		}
	}
	slices.Sort(broken)
	return broken
}

// checkRows requires a row for each direct dependency and each tool, and no other row.
func checkRows(goMod, decision string) (broken []string) {
	direct, tools := required(goMod)
	want := map[string]bool{}
	for name, said := range direct {
		if said {
			want[name] = true
		}
	}
	for _, tool := range tools {
		want[moduleOf(tool, direct)] = true
	}
	for line := range strings.Lines(decision) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.Contains(cells[1], ".") {
			continue
		}
		name := strings.Fields(cells[1])[0]
		if !want[name] {
			broken = append(broken, dependenciesFile+": "+name+" has a row, and is no direct dependency of go.mod or has two rows")
		}
		delete(want, name)
	}
	for name := range want {
		broken = append(broken, dependenciesFile+": "+name+" has no row")
	}
	slices.Sort(broken)
	return broken
}

func TestDependencies(t *testing.T) {
	goMod, err := os.ReadFile(filepath.Join(moduleRoot, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	decision, err := os.ReadFile(filepath.Join(moduleRoot, dependenciesFile))
	if err != nil {
		t.Fatal(err)
	}
	var imports []string
	for _, s := range module(t) {
		for target := range s.imports() {
			imports = append(imports, target)
		}
	}
	for _, broken := range append(checkDirect(string(goMod), imports), checkRows(string(goMod), string(decision))...) {
		t.Error(broken)
	}
}

func TestDependenciesCatches(t *testing.T) {
	const goMod = "module x\nrequire (\n\ta.org/one v1\n\ta.org/one/v2 v2 // indirect\n\ta.org/two v1 // indirect\n)\nrequire a.org/three v1\ntool a.org/two/cmd/y\n"
	for _, imports := range [][]string{
		{"a.org/one"}, {"a.org/three"}, {"a.org/one", "a.org/three", "a.org/one/v2/x"}, {"a.org/one", "a.org/three", "a.org/two/x"},
	} {
		if len(checkDirect(goMod, imports)) != 1 {
			t.Errorf("the imports %v were not caught", imports)
		}
	}
	if found := checkDirect(goMod, []string{"fmt", "a.org/one", "a.org/three/x"}); len(found) != 0 {
		t.Error(found)
	}
	row := func(name string) string { return "| " + name + " (all of it) | x | y |\n" }
	all := "| dependency | used for | why |\n|---|---|---|\n" + row("a.org/one") + row("a.org/two") + row("a.org/three")
	if found := checkRows(goMod, all); len(found) != 0 {
		t.Error(found)
	}
	for _, bad := range []string{row("a.org/one") + row("a.org/two"), all + row("a.org/four"), all + row("a.org/one/v2"), all + row("a.org/one")} {
		if len(checkRows(goMod, bad)) != 1 {
			t.Errorf("this was not caught:\n%s", bad)
		}
	}
}
