package query

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// isPlain says that no other statement does more after a definition than before, except
// through the functions that the definition's text names. What is dropped does nothing
// any more; a new table has no trigger, rule or policy yet.
func isPlain(m protoreflect.ProtoMessage) bool {
	switch n := m.(type) {
	case *pg.CreateStmt: // a table with a parent, or with an ancestor, is also written to through that
		return n.Partbound == nil && n.OfTypename == nil && len(n.InhRelations) == 0 && !slices.ContainsFunc(n.TableElts, ties)
	case *pg.AlterTableStmt:
		return plainAlter(n)
	case *pg.RenameStmt:
		switch n.RenameType {
		case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_INDEX, pg.ObjectType_OBJECT_ROLE, pg.ObjectType_OBJECT_DATABASE:
			return true
		}
		return false
	case *pg.CreateSchemaStmt:
		return len(n.SchemaElts) == 0
	}
	return alwaysPlain[m.ProtoReflect().Descriptor().Name()]
}

// alwaysPlain are the statements that are plain whatever they say.
var alwaysPlain = map[protoreflect.Name]bool{
	"DropStmt": true, "DropRoleStmt": true, "DropTableSpaceStmt": true, "DropOwnedStmt": true, "DropSubscriptionStmt": true,
	"DropUserMappingStmt": true, "DropdbStmt": true, "CreateTableAsStmt": true, "SelectStmt": true,
	"GrantStmt": true, "GrantRoleStmt": true, "AlterDefaultPrivilegesStmt": true, "AlterOwnerStmt": true, "ReassignOwnedStmt": true,
	"CommentStmt": true, "SecLabelStmt": true, "IndexStmt": true, "ReindexStmt": true, "ClusterStmt": true, "RefreshMatViewStmt": true,
	"CreateStatsStmt": true, "AlterStatsStmt": true, "CreateSeqStmt": true, "AlterSeqStmt": true,
	"CreateRoleStmt": true, "AlterRoleStmt": true, "CreatedbStmt": true, "AlterDatabaseStmt": true, "AlterDatabaseRefreshCollStmt": true,
	"CreateTableSpaceStmt": true, "AlterTableSpaceOptionsStmt": true, "AlterTableMoveAllStmt": true,
	"CreateEnumStmt": true, "AlterEnumStmt": true, "CompositeTypeStmt": true, "AlterCollationStmt": true,
	"CreatePublicationStmt": true, "AlterPublicationStmt": true, "CreateSubscriptionStmt": true, "AlterSubscriptionStmt": true,
	"AlterTSDictionaryStmt": true, "AlterTSConfigurationStmt": true,
}

// ties says that a part of a new table makes it inherit from another, or be written to
// with it.
func ties(element *pg.Node) bool { return element.GetTableLikeClause() != nil || refers(element) }

func plainAlter(n *pg.AlterTableStmt) bool {
	for _, node := range n.Cmds {
		c := node.GetAlterTableCmd()
		if !plainCommands[c.GetSubtype()] || refers(c.GetDef()) {
			return false
		}
	}
	return true
}

// plainCommands are the parts of an ALTER TABLE that are plain. Of the others, some
// turn triggers, rules or policies on, some give the table a parent, and an unlogged
// table is empty on a standby.
var plainCommands = map[pg.AlterTableType]bool{
	pg.AlterTableType_AT_AddColumn: true, pg.AlterTableType_AT_DropColumn: true, pg.AlterTableType_AT_ColumnDefault: true,
	pg.AlterTableType_AT_DropNotNull: true, pg.AlterTableType_AT_SetNotNull: true, pg.AlterTableType_AT_DropExpression: true,
	pg.AlterTableType_AT_SetStatistics: true, pg.AlterTableType_AT_SetOptions: true, pg.AlterTableType_AT_ResetOptions: true,
	pg.AlterTableType_AT_SetStorage: true, pg.AlterTableType_AT_SetCompression: true, pg.AlterTableType_AT_AlterColumnType: true,
	pg.AlterTableType_AT_AddConstraint: true, pg.AlterTableType_AT_ValidateConstraint: true, pg.AlterTableType_AT_DropConstraint: true,
	pg.AlterTableType_AT_ChangeOwner: true, pg.AlterTableType_AT_ClusterOn: true, pg.AlterTableType_AT_DropCluster: true,
	pg.AlterTableType_AT_SetTableSpace: true, pg.AlterTableType_AT_SetRelOptions: true, pg.AlterTableType_AT_ResetRelOptions: true,
	pg.AlterTableType_AT_ReplicaIdentity: true, pg.AlterTableType_AT_AddIdentity: true, pg.AlterTableType_AT_SetIdentity: true,
	pg.AlterTableType_AT_DropIdentity: true, pg.AlterTableType_AT_DisableTrig: true, pg.AlterTableType_AT_DisableTrigAll: true,
	pg.AlterTableType_AT_DisableTrigUser: true, pg.AlterTableType_AT_DisableRule: true, pg.AlterTableType_AT_DisableRowSecurity: true,
	pg.AlterTableType_AT_DropInherit: true, pg.AlterTableType_AT_DetachPartition: true, pg.AlterTableType_AT_DetachPartitionFinalize: true,
}

// refers says that a constraint, or a column's, is a foreign key by which a write to the
// other table may become a write to this one, with this table's triggers.
func refers(definition *pg.Node) bool {
	c := definition.GetConstraint()
	if c.GetContype() == pg.ConstrType_CONSTR_FOREIGN && strings.ContainsAny(c.FkDelAction+c.FkUpdAction, "cnd") {
		return true
	}
	for _, node := range definition.GetColumnDef().GetConstraints() {
		if refers(node) {
			return true
		}
	}
	return false
}

// objects are the names of the functions and relations whose behaviour a definition
// changes; without any, it may change that of anything.
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
