package query

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// walker visits every node below a statement, so that no form of a call or of a table
// is missed, and notes what it finds.
type walker struct {
	source *source
	st     *Statement
	within []string // names of common table expressions that are visible here
	target *pg.RangeVar
	writes bool // tables here are written to
	cte    bool // this is inside a WITH
	class  Class
}

func (w *walker) visit(m protoreflect.Message) {
	message := m.Interface()
	switch n := message.(type) {
	case *pg.Node:
		if held, ok := content(n); ok {
			w.visit(held)
		}
		return
	case *pg.FuncCall:
		w.call(n)
	case *pg.ColumnRef:
		w.fields(n.Fields[max(1, len(n.Fields)-1):])
	case *pg.A_Indirection:
		w.fields(n.Indirection)
	case *pg.RangeVar:
		w.relation(n)
	case *pg.SQLValueFunction:
		w.valueFunction(n)
	case *pg.LockingClause:
		w.st.Effects |= LockingClause | Writes
		w.raise(Write)
		return // the names in FOR UPDATE OF are aliases
	case *pg.CurrentOfExpr:
		w.st.Effects |= UsesCursor
		w.raise(Session)
	case *pg.RangeTableSample:
		w.sample(n)
	case *pg.ConstraintsSetStmt:
		return // names of constraints, which look like tables
	case *pg.CreateStmt:
		w.onCommit(n.Oncommit)
	case *pg.IntoClause:
		w.into(n)
		return
	}
	if statement, ok := message.(withStatement); ok {
		w.scope(m, statement)
		return
	}
	w.children(m)
}

// content is the node within a Node, which can hold any.
func content(n *pg.Node) (protoreflect.Message, bool) {
	m := n.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
	if field == nil {
		return nil, false
	}
	return m.Get(field).Message(), true
}

// children visits the fields of a message, in the order of their definition.
func (w *walker) children(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Message() == nil || !m.Has(field) || field.Name() == "with_clause" {
			continue
		}
		v := m.Get(field)
		if !field.IsList() {
			w.visit(v.Message())
			continue
		}
		for i := range v.List().Len() {
			w.visit(v.List().Get(i).Message())
		}
	}
}

// withStatement is SELECT, INSERT, UPDATE, DELETE or MERGE.
type withStatement interface {
	protoreflect.ProtoMessage
	GetWithClause() *pg.WithClause
}

// scope visits one of them, in which the names of its WITH hide tables.
func (w *walker) scope(m protoreflect.Message, statement withStatement) {
	within, writes, target := w.within, w.writes, w.target
	w.writes, w.target = false, writeTarget(statement)
	if w.target != nil {
		w.st.Effects |= Writes
		w.raise(Write)
		if w.cte {
			w.st.Effects |= DataModifyingCTE
		}
	}
	w.with(statement.GetWithClause())
	w.children(m)
	w.within, w.writes, w.target = within, writes, target
}

func writeTarget(statement withStatement) *pg.RangeVar {
	switch n := statement.(type) {
	case *pg.InsertStmt:
		return n.Relation
	case *pg.UpdateStmt:
		return n.Relation
	case *pg.DeleteStmt:
		return n.Relation
	case *pg.MergeStmt:
		return n.Relation
	}
	return nil
}

// with visits the expressions of a WITH. Without RECURSIVE each sees those before it.
func (w *walker) with(clause *pg.WithClause) {
	target, cte := w.target, w.cte
	w.target, w.cte = nil, true
	seen := w.within[:len(w.within):len(w.within)]
	if clause.GetRecursive() {
		for _, node := range clause.GetCtes() {
			seen = append(seen, node.GetCommonTableExpr().GetCtename())
		}
		w.within = seen
	}
	for _, node := range clause.GetCtes() {
		w.visit(node.GetCommonTableExpr().ProtoReflect())
		if !clause.Recursive {
			seen = append(seen, node.GetCommonTableExpr().GetCtename())
			w.within = seen
		}
	}
	w.target, w.cte = target, cte
}

// sample notes a sampling method, because extensions may have methods of their own.
func (w *walker) sample(n *pg.RangeTableSample) {
	schema, name := qualified(n.Method)
	if known := lookUp(schema, name); known.mark != Harmless {
		w.st.Effects |= UnknownFunction
		w.raise(Unknown)
	}
}

func (w *walker) relation(n *pg.RangeVar) {
	if n.Relpersistence == "t" {
		w.st.Effects |= TempTable
	}
	if n.Schemaname == "" && n != w.target && !w.writes {
		for _, name := range w.within {
			if name == n.Relname {
				return
			}
		}
	}
	w.note(n.Schemaname, n.Relname, n == w.target || w.writes)
}

// note adds a table, once for reading and once for writing.
func (w *walker) note(schema, name string, write bool) {
	if write && name == "pg_settings" && (schema == "" || schema == "pg_catalog") {
		w.st.Effects |= SetsConfig // its rule calls set_config
		w.raise(Session)
	}
	r := Relation{Schema: w.source.client(schema), Name: w.source.client(name), Write: write}
	for _, known := range w.st.Tables {
		if known == r {
			return
		}
	}
	w.st.Tables = append(w.st.Tables, r)
}

func (w *walker) into(n *pg.IntoClause) {
	w.onCommit(n.OnCommit)
	writes := w.writes
	w.writes = true
	w.children(n.ProtoReflect())
	w.writes = writes
}

func (w *walker) onCommit(action pg.OnCommitAction) {
	if action == pg.OnCommitAction_ONCOMMIT_DROP {
		w.st.Effects |= OnCommitDrop
	}
}

func (w *walker) valueFunction(n *pg.SQLValueFunction) {
	switch n.Op {
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_ROLE, pg.SQLValueFunctionOp_SVFOP_CURRENT_USER,
		pg.SQLValueFunctionOp_SVFOP_USER, pg.SQLValueFunctionOp_SVFOP_SESSION_USER,
		pg.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG, pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA:
	default: // dates and times
		w.st.Effects |= ReadsClock
	}
}

func (w *walker) call(n *pg.FuncCall) {
	schema, name := qualified(n.Funcname)
	w.called(schema, name, lookUp(schema, name), n.Args)
}

// fields notes names after a dot. A function of PostgreSQL's own that is not harmless
// counts as called, because few columns have such a name.
func (w *walker) fields(names []*pg.Node) {
	for _, node := range names {
		name := node.GetString_().GetSval()
		if name == "" { // an asterisk or a subscript
			continue
		}
		w.st.Fields = append(w.st.Fields, w.source.client(name))
		switch b, known := builtins()[name]; {
		case known && b.mark != Harmless:
			w.called("", name, b, nil)
		case known && b.volatile && name != "version": // it has no argument, and many columns have this name
			w.called("", name, builtin{mark: Harmless, volatile: true}, nil)
		}
	}
}

func (w *walker) called(schema, name string, known builtin, args []*pg.Node) {
	w.st.Effects |= known.effects
	switch known.mark {
	case NotKnown:
		w.st.Effects |= UnknownFunction
		w.raise(Unknown)
	case MarkWrite:
		w.st.Effects |= Writes
		w.raise(Write)
	case MarkSession:
		w.raise(Session)
	}
	f := Function{Schema: w.source.client(schema), Name: w.source.client(name), Mark: known.mark, Volatile: known.volatile}
	if known.mark != Harmless {
		for _, node := range args {
			f.Arguments = append(f.Arguments, w.argument(node))
		}
	}
	w.st.Functions = append(w.st.Functions, f)
}

// qualified is the schema, if any, and the name of a list of names.
func qualified(names []*pg.Node) (schema, name string) {
	for _, node := range names {
		schema, name = name, node.GetString_().GetSval()
	}
	return schema, name
}

func (w *walker) argument(node *pg.Node) Argument {
	altered := false
	for node.GetTypeCast() != nil {
		altered = altered || !keepsText(node.GetTypeCast().TypeName)
		node = node.GetTypeCast().Arg
	}
	if p := node.GetParamRef(); p != nil {
		return Argument{Parameter: int(p.Number)}
	}
	constant := node.GetAConst()
	if constant == nil {
		return Argument{}
	}
	return Argument{Constant: true, Altered: altered, Text: w.source.client(constantText(constant)), Null: constant.Isnull}
}

// keepsText says that a cast to a type leaves a text unchanged, or is a cast to
// boolean. A length cuts, and so do char and name.
func keepsText(t *pg.TypeName) bool {
	schema, name := qualified(t.GetNames())
	if len(t.GetTypmods())+len(t.GetArrayBounds()) > 0 || t.GetSetof() || t.GetPctType() {
		return false
	}
	return (schema == "" || schema == "pg_catalog") && (name == "text" || name == "varchar" || name == "bool")
}

func constantText(c *pg.A_Const) string {
	switch {
	case c.GetIval() != nil:
		return strconv.Itoa(int(c.GetIval().Ival))
	case c.GetFval() != nil:
		return c.GetFval().Fval
	case c.GetBoolval() != nil:
		return strconv.FormatBool(c.GetBoolval().Boolval)
	case c.GetBsval() != nil:
		return c.GetBsval().Bsval
	}
	return c.GetSval().GetSval()
}

// raise makes the class at least as demanding as c.
func (w *walker) raise(c Class) { w.class = demanding(w.class, c) }

// demanding is the more demanding of two classes.
func demanding(a, b Class) Class {
	if a == Unknown || b == Unknown {
		return Unknown
	}
	return max(a, b)
}

// temporary tells whether a schema's name is that of temporary objects.
func temporary(schema string) bool {
	return schema == "pg_temp" || strings.HasPrefix(schema, "pg_temp_")
}
