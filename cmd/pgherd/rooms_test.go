package main_test

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// sentIn is the one file of package session that writes to servers.
const sentIn = "proxy/session/send.go"

// checkSends requires that only one file sends requests. It also makes their entries in the list of replies owed; without an
// entry, the next reply would count as that of another request (I1).
func checkSends(s *source) (broken []string) {
	if s.folder() != "proxy/session" || s.isTest() || s.path == sentIn {
		return nil
	}
	ast.Inspect(s.tree, func(n ast.Node) bool {
		write, ok := n.(*ast.SelectorExpr)
		if !ok || write.Sel.Name != "Write" {
			return true
		}
		if to, ok := write.X.(*ast.SelectorExpr); ok && to.Sel.Name == "Endpoint" {
			broken = append(broken, fmt.Sprintf("%s: only %s writes to servers", s.at(n.Pos()), sentIn))
		}
		return true
	})
	return broken
}

// checkStatus requires that only one function changes a transaction's status, which is the state of a state machine.
func checkStatus(s *source) (broken []string) {
	if s.folder() != "proxy/session" || s.isTest() {
		return nil
	}
	for _, decl := range s.tree.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "enter" {
			continue
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			set, ok := n.(*ast.AssignStmt)
			if !ok {
				return true
			}
			for _, to := range set.Lhs {
				if field, ok := to.(*ast.SelectorExpr); ok && field.Sel.Name == "status" {
					broken = append(broken, s.at(n.Pos())+": only transaction.enter changes the status")
				}
			}
			return true
		})
	}
	return broken
}

// These are the limits of a struct. One with more fields probably has values that live for different times, and should be
// divided by them. One with more booleans is a state machine that is not written as one.
const (
	fieldsLimit = 25
	boolsLimit  = 6
)

func checkStructs(s *source) (broken []string) {
	if s.isTest() || s.generated {
		return nil
	}
	ast.Inspect(s.tree, func(n ast.Node) bool {
		of, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		if n := of.Fields.NumFields(); n > fieldsLimit {
			broken = append(broken, fmt.Sprintf("%s: a struct of %d fields, %d are allowed", s.at(of.Pos()), n, fieldsLimit))
		}
		if n := booleans(of); n > boolsLimit {
			broken = append(broken, fmt.Sprintf("%s: a struct with %d booleans, %d are allowed", s.at(of.Pos()), n, boolsLimit))
		}
		return true
	})
	return broken
}

func booleans(of *ast.StructType) (n int) {
	for _, field := range of.Fields.List {
		if name, ok := field.Type.(*ast.Ident); ok && name.Name == "bool" {
			n += max(1, len(field.Names))
		}
	}
	return n
}

// filesLimit is the number of files that a package may have, not counting tests.
const filesLimit = 15

// onePerFile are packages that may have more, because each file has one thing of a kind: a message, a method of
// authentication, a command, a table of parameters. The files of package session belong to eight layers, which checkLayer
// keeps apart.
var onePerFile = []string{"proxy/wire", "proxy/auth", "proxy/admin", "proxy/config", "proxy/session"}

// TestPackagesStaySmall counts the files of every package.
func TestPackagesStaySmall(t *testing.T) {
	files := map[string]int{}
	for _, s := range module(t) {
		if !s.isTest() {
			files[s.folder()]++
		}
	}
	for folder, n := range files {
		if n > filesLimit && !slices.Contains(onePerFile, folder) {
			t.Errorf("package %s has %d files, want %d at most", folder, n, filesLimit)
		}
	}
}

// methodsLimit is the number of methods that a type may have. One with more does several things.
const methodsLimit = 60

// TestTypesStaySmall counts the methods of every type, over all its files.
func TestTypesStaySmall(t *testing.T) {
	methods := map[string]int{}
	for _, s := range module(t) {
		for _, of := range receivers(s) {
			methods[s.folder()+"."+of]++
		}
	}
	for of, n := range methods {
		if n > methodsLimit {
			t.Errorf("type %s has %d methods, want %d at most", of, n, methodsLimit)
		}
	}
}

// receivers are the types of a file's methods, one for each method.
func receivers(s *source) (types []string) {
	for _, decl := range s.tree.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Recv == nil || s.isTest() {
			continue
		}
		of := f.Recv.List[0].Type
		if star, ok := of.(*ast.StarExpr); ok {
			of = star.X
		}
		if name, ok := of.(*ast.Ident); ok {
			types = append(types, name.Name)
		}
	}
	return types
}

// sessionLayers are the types of which a session consists, from the lowest. Each embeds the one below it.
var sessionLayers = []string{"exchange", "clientState", "analysis", "relaying", "serving", "signaling", "placement", "Session"}

// checkLayer requires that a file of package session belongs to one layer.
func checkLayer(s *source) []string {
	if s.folder() != "proxy/session" {
		return nil
	}
	var layer string
	for _, of := range receivers(s) {
		if !slices.Contains(sessionLayers, of) || of == layer {
			continue
		}
		if layer != "" {
			return []string{fmt.Sprintf("%s: has methods of %s and of %s, which are two layers", s.path, layer, of)}
		}
		layer = of
	}
	return nil
}

func TestRoomsCatches(t *testing.T) {
	body := func(call string) string { return "package session\nfunc f(s *Session) { " + call + " }\n" }
	checkCaught(t, checkSends, "proxy/session/x.go", body("s.server.Endpoint.Write(nil)"), body("s.client.Write(nil)"))
	structs := func(n int, of string) string {
		return "package x\ntype T struct {" + strings.Repeat("a "+of+"; ", n) + "}\n"
	}
	checkCaught(t, checkStructs, "proxy/x/x.go", structs(fieldsLimit+1, "int"), structs(fieldsLimit, "int"))
	checkCaught(t, checkStructs, "proxy/x/x.go", structs(boolsLimit+1, "bool"), structs(boolsLimit, "bool"))
	methods := func(a, b string) string {
		return "package session\nfunc (s *" + a + ") f() {}\nfunc (s *" + b + ") g() {}\nfunc (s *stream) h() {}\n"
	}
	checkCaught(t, checkLayer, "proxy/session/x.go", methods("exchange", "Session"), methods("Session", "Session"))
	checkCaught(t, checkStatus, "proxy/session/x.go", body("s.a, s.status = 1, 'I'"), "package session\nfunc (t *transaction) enter() { t.status = 'I' }\n")
}
