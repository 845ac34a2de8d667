package query

import (
	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// objects are the names of the functions and relations whose doings a definition
// changes; none: it may change anything's.
func (w *walker) objects(m protoreflect.ProtoMessage) []string {
	switch n := m.(type) {
	case *pg.CreateFunctionStmt:
		return w.named(n.Funcname)
	case *pg.AlterFunctionStmt:
		return w.named(n.Func.GetObjname())
	case *pg.ViewStmt, *pg.CreateTrigStmt, *pg.CreatePolicyStmt, *pg.AlterPolicyStmt, *pg.RuleStmt, *pg.CreateStmt, *pg.AlterTableStmt, *pg.IndexStmt,
		*pg.CreateTableAsStmt, *pg.SelectStmt:
		var names []string
		for _, t := range w.st.Tables {
			if t.Write {
				names = append(names, t.Name)
			}
		}
		return names
	}
	return nil
}

// named is the last part of a name.
func (w *walker) named(parts []*pg.Node) []string {
	if _, name := qualified(parts); name != "" {
		return []string{w.source.client(name)}
	}
	return nil
}
