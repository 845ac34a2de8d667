// Package mutation breaks code on purpose, for tests that prove that other tests would notice it.
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

// Broken is a function, or a method as Type.Method, in which a text is replaced. It does not matter in which file of the
// folder it is. The old text must be in it exactly once.
type Broken struct{ Name, Folder, Function, Old, New string }

// Overlay writes a changed copy of the function's file, and the list that, given to the compiler as -overlay, makes it
// read the copy in the file's place.
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

// Source returns the file that has the function, and its content with the replacement.
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
		return "", "", fmt.Errorf("%s: %d functions are called %s, want one", b.Folder, found, b.Function)
	}
	return file, text, nil
}

type span struct{ from, to int }

// spans are the places of the function in the source.
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

// called is the function's name, after the type of its receiver.
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
