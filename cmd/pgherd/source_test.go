package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	moduleRoot = "../.."
	modulePath = "pgherd/"
)

// source is one Go file of the module, parsed.
type source struct {
	path      string // relative to the module's root, with slashes
	text      string
	files     *token.FileSet
	tree      *ast.File
	generated bool
}

func (s *source) folder() string { return path.Dir(s.path) }
func (s *source) isTest() bool   { return strings.HasSuffix(s.path, "_test.go") }
func (s *source) at(p token.Pos) string {
	return s.path + ":" + strconv.Itoa(s.files.Position(p).Line)
}

// imports are the import paths of the file, with the names that they have in it.
func (s *source) imports() map[string]string {
	names := map[string]string{}
	for _, spec := range s.tree.Imports {
		target, _ := strconv.Unquote(spec.Path.Value) // the parser has accepted it
		names[target] = path.Base(target)
		if spec.Name != nil {
			names[target] = spec.Name.Name
		}
	}
	return names
}

func parse(t *testing.T, name, text string) *source {
	t.Helper()
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return &source{path: name, text: text, files: files, tree: tree, generated: ast.IsGenerated(tree)}
}

// module parses every Go file of the module, for any system.
func module(t *testing.T) []*source {
	t.Helper()
	var all []*source
	err := filepath.WalkDir(moduleRoot, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() && (base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".") && name != moduleRoot) {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(base, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(moduleRoot, name)
		if err != nil {
			return err
		}
		all = append(all, parse(t, filepath.ToSlash(relative), string(text)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 5 {
		t.Fatalf("found only %d Go files, so the folder is wrong", len(all))
	}
	return all
}

// checkCaught applies a rule to a file that breaks it and to one that does not.
func checkCaught(t *testing.T, rule func(*source) []string, name, bad, good string) {
	t.Helper()
	if found := rule(parse(t, name, bad)); len(found) == 0 {
		t.Errorf("this was not caught in %s:\n%s", name, bad)
	}
	if found := rule(parse(t, name, good)); len(found) != 0 {
		t.Errorf("this was wrongly caught in %s:\n%s\n%s", name, good, strings.Join(found, "\n"))
	}
}
