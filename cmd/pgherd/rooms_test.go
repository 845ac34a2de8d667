package main_test

import (
	"fmt"
	"go/ast"
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

func TestRoomsCatches(t *testing.T) {
	body := func(call string) string { return "package session\nfunc f(s *Session) { " + call + " }\n" }
	checkCaught(t, checkSends, "proxy/session/x.go", body("s.server.Endpoint.Write(nil)"), body("s.client.Write(nil)"))
	fields := func(n int) string { return "package session\ntype T struct {" + strings.Repeat("a int; ", n) + "}\n" }
	checkCaught(t, checkFields, "proxy/session/x.go", fields(fieldsLimit+1), fields(fieldsLimit))
	checkCaught(t, checkStatus, "proxy/session/x.go", body("s.a, s.status = 1, 'I'"), "package session\nfunc (t *transaction) enter() { t.status = 'I' }\n")
}
