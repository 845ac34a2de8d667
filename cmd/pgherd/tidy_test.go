package main_test

import (
	"fmt"
	"go/ast"
	"go/format"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const (
	longestFunction = 70 // lines
	longestFile     = 500
)

// forbidden are words that say nothing, and words in whose place pgherd has other ones (see docs/ARCHITECTURE.md).
var forbidden = []string{
	"backend", "frontend", "master", "slave", "manager", "handler", "helper",
	"util", "common", "impl", "backends", "frontends", "masters", "slaves",
	"managers", "handlers", "helpers", "utils",
}

// imposed are names in identifiers and file names that come from elsewhere, for example from a protocol.
var imposed = []struct{ name, why string }{
	{"BackendKeyData", "a message of PostgreSQL's protocol"},
	{"CommonName", "a field of X.509 certificates"},
	{"backend_key_data", "the file of that message"},
}

func checkSizes(s *source) []string {
	if s.generated {
		return nil
	}
	var broken []string
	if lines := strings.Count(s.text, "\n"); lines > longestFile {
		broken = append(broken, fmt.Sprintf("%s: %d lines, %d allowed", s.path, lines, longestFile))
	}
	for _, declaration := range s.tree.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := s.files.Position(f.End()).Line - s.files.Position(f.Pos()).Line + 1
		if lines > longestFunction {
			broken = append(broken, fmt.Sprintf("%s: function %s has %d lines, %d allowed", s.at(f.Pos()), f.Name.Name, lines, longestFunction))
		}
	}
	return broken
}

func checkFormat(s *source) []string {
	formatted, err := format.Source([]byte(s.text))
	if err != nil || string(formatted) != s.text {
		return []string{s.path + ": not formatted by gofmt"}
	}
	return nil
}

// words splits an identifier at underscores and where a capital begins a word.
var wordPattern = regexp.MustCompile(`[A-Z]+[a-z]*|[a-z]+`)

func words(name string) []string {
	var split []string
	for _, part := range wordPattern.FindAllString(name, -1) {
		split = append(split, strings.ToLower(part))
		// In PGBackend the last of several capitals begins the next word.
		capitals := strings.IndexFunc(part, unicode.IsLower)
		if capitals > 1 {
			split = append(split, strings.ToLower(part[capitals-1:]))
		}
	}
	return split
}

func badWord(name string) (string, bool) {
	for _, i := range imposed {
		name = strings.ReplaceAll(name, i.name, "_")
	}
	for _, word := range words(name) {
		if slices.Contains(forbidden, word) {
			return word, true
		}
	}
	return "", false
}

// declared are the identifiers that a file declares.
func declared(tree *ast.File) []*ast.Ident {
	names := []*ast.Ident{tree.Name}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch d := n.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name)
		case *ast.TypeSpec:
			names = append(names, d.Name)
		case *ast.ValueSpec:
			names = append(names, d.Names...)
		case *ast.Field:
			names = append(names, d.Names...)
		case *ast.ImportSpec:
			if d.Name != nil {
				names = append(names, d.Name)
			}
		case *ast.AssignStmt:
			for _, left := range d.Lhs {
				if ident, ok := left.(*ast.Ident); ok && d.Tok.String() == ":=" {
					names = append(names, ident)
				}
			}
		}
		return true
	})
	return names
}

func checkWords(s *source) []string {
	if s.generated {
		return nil
	}
	var broken []string
	for _, ident := range declared(s.tree) {
		if word, bad := badWord(ident.Name); bad {
			broken = append(broken, fmt.Sprintf("%s: %s: %q is not a word we use", s.at(ident.Pos()), ident.Name, word))
		}
	}
	if word, bad := badWord(s.path); bad {
		broken = append(broken, fmt.Sprintf("%s: %q is not a word we use", s.path, word))
	}
	return broken
}

// checkPackageComments requires that exactly one file of each package has its contract, the package comment.
func checkPackageComments(all []*source) []string {
	stated := map[string]int{}
	for _, s := range all {
		if s.isTest() && !testOnly(s.folder()) {
			continue
		}
		name := s.tree.Name.Name
		stated[s.folder()] += 0
		if comment := s.tree.Doc.Text(); strings.HasPrefix(comment, "Package "+name+" ") || name == "main" && comment != "" {
			stated[s.folder()]++
		}
	}
	var broken []string
	for folder, n := range stated {
		if n != 1 {
			broken = append(broken, fmt.Sprintf("%s: %d package comments, 1 expected: it is the package's contract", folder, n))
		}
	}
	slices.Sort(broken)
	return broken
}

var topLevel = []string{
	"bpf", "proxy", "vip", "bench", "cmd", "kernel-tests", "docs",
	"go.mod", "go.sum", "Makefile", "Vagrantfile", "README.md", "LICENSE",
	".git", ".gitignore", ".ci",
}

// checkTopLevel checks the names at the root, by the patterns of .gitignore.
func checkTopLevel(names, ignored []string) []string {
	var broken []string
	for _, name := range names {
		match := func(pattern string) bool {
			ok, err := path.Match(strings.Trim(pattern, "/"), name)
			return ok && err == nil
		}
		if !slices.Contains(topLevel, name) && !slices.ContainsFunc(ignored, match) {
			broken = append(broken, name+": the top level is fixed: "+strings.Join(topLevel, " "))
		}
	}
	return broken
}

func TestTidy(t *testing.T) {
	all := module(t)
	broken := checkPackageComments(all)
	for _, s := range all {
		for _, rule := range []func(*source) []string{checkSizes, checkFormat, checkWords} {
			broken = append(broken, rule(s)...)
		}
	}
	for _, b := range broken {
		t.Error(b)
	}
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	ignored, err := os.ReadFile(filepath.Join(moduleRoot, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range checkTopLevel(names, strings.Fields(string(ignored))) {
		t.Error(b)
	}
}

func TestTidyCatches(t *testing.T) {
	function := func(lines int) string { return "package x\n\nfunc f() {\n" + strings.Repeat("\n", lines-2) + "}\n" }
	checkCaught(t, checkSizes, "x.go", function(longestFunction+1), function(longestFunction))
	checkCaught(t, checkSizes, "x.go", "package x\n"+strings.Repeat("\n", longestFile), "package x\n"+strings.Repeat("\n", longestFile-1))
	checkCaught(t, checkFormat, "x.go", "package x\nvar  a = 1\n", "package x\n\nvar a = 1\n")
	for _, bad := range []string{
		"var backendPort int", "func MasterNode() {}", "type PGBackend struct{}", "type t struct{ slave int }",
		"func f(helper int) {}", "type resultImpl int", "func f() { frontend := 1; _ = frontend }", "const x_util = 1",
		"import helper \"fmt\"", "func (t T) handlers() {}",
		"type BackendKey int", "var masterBackendKeyData int",
	} {
		checkCaught(t, checkWords, "x.go", "package x\n"+bad+"\n", "package x\nvar s = \"backend_hostname0\" // master\nvar implied, utility int\nfunc AppendBackendKeyData() {}\n")
	}
	checkCaught(t, checkWords, "x.go", "package common\n", "package x\nvar h slog.Handler\n")
	checkCaught(t, checkWords, "x.go", "package x\nvar backend int\n", "// Code generated by x. DO NOT EDIT.\npackage x\nvar backend int\n")
	if len(checkWords(parse(t, "proxy/util/x.go", "package x"))) == 0 {
		t.Error("a folder called util was not caught")
	}
	comment, none := "// Package x does.\npackage x\n", "package x\n"
	for bad, texts := range map[string][]string{"none": {none, none}, "two": {comment, comment}, "other": {"// Hello.\npackage x\n"}} {
		var files []*source
		for _, text := range texts {
			files = append(files, parse(t, "x/x.go", text))
		}
		if len(checkPackageComments(files)) == 0 {
			t.Errorf("package comments: %s was not caught", bad)
		}
	}
	if found := checkPackageComments([]*source{parse(t, "x/x.go", comment), parse(t, "x/y.go", none)}); len(found) != 0 {
		t.Error(found)
	}
	if len(checkTopLevel([]string{"src"}, []string{"bin/"})) == 0 || len(checkTopLevel([]string{"bin", "x.test", "proxy"}, []string{"bin/", "*.test"})) != 0 {
		t.Error("the top level is not checked")
	}
}
