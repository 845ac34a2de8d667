// Package mutation breaks code on purpose, for tests which prove that other tests
// would notice.
package mutation

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Broken is a function, or a method as Type.Method, with other text in it. Which file of
// the folder has it does not matter; the old text has to stand in it once.
type Broken struct{ Name, Folder, Function, Old, New string }

// Overlay writes a copy of the function's file, changed, and the list that has the
// compiler, given it as -overlay, read it in the file's place.
func (b Broken) Overlay(t testing.TB) string {
	t.Helper()
	file, text, err := b.Source()
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed, listed := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{changed: text, listed: string(list)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return listed
}

// Source is the file that has the function, and what is in it once that is broken.
func (b Broken) Source() (file, text string, err error) {
	files, err := filepath.Glob(filepath.Join(b.Folder, "*.go"))
	if err != nil {
		return "", "", err
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return "", "", err
		}
		spans, err := b.spans(name, source)
		if err != nil {
			return "", "", err
		}
		for _, s := range spans {
			found++
			body := string(source[s.from:s.to])
			if strings.Count(body, b.Old) != 1 {
				return "", "", fmt.Errorf("%s: function %s does not have %q once", name, b.Function, b.Old)
			}
			file, text = name, string(source[:s.from])+strings.Replace(body, b.Old, b.New, 1)+string(source[s.to:])
		}
	}
	if found != 1 {
		return "", "", fmt.Errorf("%s: %d functions are called %s, where one is to be broken", b.Folder, found, b.Function)
	}
	return file, text, nil
}

type span struct{ from, to int }

// spans are where the function stands in the source.
func (b Broken) spans(name string, source []byte) (found []span, err error) {
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, declaration := range tree.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && called(f) == b.Function {
			found = append(found, span{files.Position(f.Pos()).Offset, files.Position(f.End()).Offset})
		}
	}
	return found, nil
}

// called is the function's name, behind that of its receiver's type.
func called(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if generic, ok := of.(*ast.IndexExpr); ok {
		of = generic.X
	}
	return fmt.Sprint(of) + "." + f.Name.Name
}
