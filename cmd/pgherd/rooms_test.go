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

// checkSends: a request without its entry in the list of replies owed has the next reply
// taken for another's (I1), so one file sends requests, and makes the entries.
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

// checkStatus: a transaction's status is a state machine, of which one function changes
// the state.
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

// fieldsLimit is how many fields a struct of the data path may have: what has more lives
// for several lengths of time, and is to be parted by them.
const fieldsLimit = 25

func checkFields(s *source) (broken []string) {
	if s.folder() != "proxy/session" || s.isTest() {
		return nil
	}
	ast.Inspect(s.tree, func(n ast.Node) bool {
		if of, ok := n.(*ast.StructType); ok && of.Fields.NumFields() > fieldsLimit {
			broken = append(broken, fmt.Sprintf("%s: a struct of %d fields, %d allowed", s.at(n.Pos()), of.Fields.NumFields(), fieldsLimit))
		}
		return true
	})
	return broken
}

// methodsLimit is how many methods a type may have: one with more does several things.
const methodsLimit = 60

// TestTypesStaySmall counts the methods of every type, in whatever files they are.
func TestTypesStaySmall(t *testing.T) {
	methods := map[string]int{}
	for _, s := range module(t) {
		for _, of := range receivers(s) {
			methods[s.folder()+"."+of]++
		}
	}
	for of, n := range methods {
		if n > methodsLimit {
			t.Errorf("%s has %d methods, %d are allowed", of, n, methodsLimit)
		}
	}
}

// receivers are the types of which a file has methods, one for each method.
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

// sessionLayers are the types that a session stands on, from the lowest. Each embeds the
// one below it.
var sessionLayers = []string{"exchange", "clientState", "analysis", "relaying", "serving", "signaling", "placement", "Session"}

// checkLayer holds that a file of package session belongs to one layer.
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
	fields := func(n int) string { return "package session\ntype T struct {" + strings.Repeat("a int; ", n) + "}\n" }
	checkCaught(t, checkFields, "proxy/session/x.go", fields(fieldsLimit+1), fields(fieldsLimit))
	methods := func(a, b string) string {
		return "package session\nfunc (s *" + a + ") f() {}\nfunc (s *" + b + ") g() {}\nfunc (s *stream) h() {}\n"
	}
	checkCaught(t, checkLayer, "proxy/session/x.go", methods("exchange", "Session"), methods("Session", "Session"))
	checkCaught(t, checkStatus, "proxy/session/x.go", body("s.a, s.status = 1, 'I'"), "package session\nfunc (t *transaction) enter() { t.status = 'I' }\n")
}
