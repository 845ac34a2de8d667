package query

import (
	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// rule is what a form of statement does before its parts are visited. detail reads what
// is particular to it; if that sets Inner, the parts are not visited.
type rule struct {
	kind    Kind
	class   Class
	effects Effects
	detail  func(*walker, protoreflect.ProtoMessage)
}

// rules has a row for every node that can be a statement by itself.
var rules map[protoreflect.Name]rule

func init() {
	rules = map[protoreflect.Name]rule{
		"SelectStmt":   {Select, Read, 0, selectDetail},
		"InsertStmt":   {Insert, Write, 0, nil},
		"UpdateStmt":   {Update, Write, 0, nil},
		"DeleteStmt":   {Delete, Write, 0, nil},
		"MergeStmt":    {Merge, Write, 0, nil},
		"TruncateStmt": {Truncate, Write, 0, nil},
		"CopyStmt":     {CopyTo, Read, 0, copyDetail},

		"TransactionStmt":    {Other, Control, 0, transactionDetail},
		"ConstraintsSetStmt": {SetConstraints, Control, 0, nil},

		"VariableSetStmt":  {Set, Session, 0, setDetail},
		"VariableShowStmt": {Show, Read, 0, func(w *walker, m protoreflect.ProtoMessage) { w.name(Fold(m.(*pg.VariableShowStmt).Name)) }},
		"DiscardStmt":      {Other, Session, 0, discardDetail},

		"PrepareStmt":       {Prepare, Session, Prepared, prepareDetail},
		"ExecuteStmt":       {Execute, Unknown, Prepared, func(w *walker, m protoreflect.ProtoMessage) { w.name(m.(*pg.ExecuteStmt).Name) }},
		"DeallocateStmt":    {Deallocate, Session, Prepared, deallocateDetail},
		"DeclareCursorStmt": {Declare, Session, UsesCursor, declareDetail},
		"FetchStmt":         {Fetch, Session, UsesCursor, fetchDetail},
		"ClosePortalStmt":   {ClosePortal, Session, UsesCursor, closeDetail},

		"ListenStmt":   {Listen, Session, Listening | Writes, func(w *walker, m protoreflect.ProtoMessage) { w.name(m.(*pg.ListenStmt).Conditionname) }},
		"UnlistenStmt": {Unlisten, Session, 0, unlistenDetail},
		"NotifyStmt":   {Notify, Write, Notifies, notifyDetail},
		"LoadStmt":     {Load, Session, Loads, func(w *walker, m protoreflect.ProtoMessage) { w.name(m.(*pg.LoadStmt).Filename) }},

		"LockStmt":          {Lock, Write, 0, nil},
		"DoStmt":            {Do, Unknown, AnonymousCode | Writes, doDetail},
		"CallStmt":          {Call, Unknown, AnonymousCode | Writes, nil},
		"ExplainStmt":       {Explain, Read, 0, explainDetail},
		"VacuumStmt":        {Vacuum, Write, 0, vacuumDetail},
		"CheckPointStmt":    {Checkpoint, Write, 0, nil},
		"CreateTableAsStmt": {CreateTableAs, Write, 0, createTableAsDetail},
		"DropStmt":          {DDL, Write, 0, dropDetail},
		"ViewStmt":          {DDL, Write, 0, nil},
	}
	for _, name := range definitions {
		rules[name] = rule{kind: DDL, class: Write}
	}
}

// definitions are the statements of which no more has to be known than that they write.
var definitions = []protoreflect.Name{
	"CreateSchemaStmt", "AlterTableStmt", "AlterCollationStmt", "AlterDomainStmt", "GrantStmt",
	"GrantRoleStmt", "AlterDefaultPrivilegesStmt", "CreateStmt", "CreateTableSpaceStmt", "DropTableSpaceStmt",
	"AlterTableSpaceOptionsStmt", "AlterTableMoveAllStmt", "CreateExtensionStmt", "AlterExtensionStmt",
	"AlterExtensionContentsStmt", "CreateFdwStmt", "AlterFdwStmt", "CreateForeignServerStmt", "AlterForeignServerStmt",
	"CreateForeignTableStmt", "CreateUserMappingStmt", "AlterUserMappingStmt", "DropUserMappingStmt",
	"ImportForeignSchemaStmt", "CreatePolicyStmt", "AlterPolicyStmt", "CreateAmStmt", "CreateTrigStmt",
	"CreateEventTrigStmt", "AlterEventTrigStmt", "CreatePLangStmt", "CreateRoleStmt", "AlterRoleStmt",
	"AlterRoleSetStmt", "DropRoleStmt", "CreateSeqStmt", "AlterSeqStmt", "DefineStmt", "CreateDomainStmt",
	"CreateOpClassStmt", "CreateOpFamilyStmt", "AlterOpFamilyStmt", "CommentStmt", "SecLabelStmt", "IndexStmt",
	"CreateStatsStmt", "AlterStatsStmt", "CreateFunctionStmt", "AlterFunctionStmt", "RenameStmt",
	"AlterObjectDependsStmt", "AlterObjectSchemaStmt", "AlterOwnerStmt", "AlterOperatorStmt", "AlterTypeStmt",
	"RuleStmt", "CompositeTypeStmt", "CreateEnumStmt", "CreateRangeStmt", "AlterEnumStmt", "CreatedbStmt",
	"AlterDatabaseStmt", "AlterDatabaseRefreshCollStmt", "AlterDatabaseSetStmt", "DropdbStmt", "AlterSystemStmt",
	"ClusterStmt", "RefreshMatViewStmt", "ReindexStmt", "CreateConversionStmt", "CreateCastStmt",
	"CreateTransformStmt", "DropOwnedStmt", "ReassignOwnedStmt", "AlterTSDictionaryStmt", "AlterTSConfigurationStmt",
	"CreatePublicationStmt", "AlterPublicationStmt", "CreateSubscriptionStmt", "AlterSubscriptionStmt", "DropSubscriptionStmt",
}

func doDetail(w *walker, m protoreflect.ProtoMessage) {
	for _, option := range m.(*pg.DoStmt).Args {
		if o := option.GetDefElem(); o.GetDefname() == "as" {
			w.st.Value = w.source.client(optionText(o))
		}
	}
}

func (w *walker) name(name string) { w.st.Name = w.source.client(name) }

func selectDetail(w *walker, m protoreflect.ProtoMessage) {
	for n := m.(*pg.SelectStmt); n != nil; n = n.Larg { // INTO is in the leftmost of a UNION
		if n.IntoClause != nil {
			w.st.Kind = CreateTableAs
			w.st.Effects |= SelectInto | Writes
			w.raise(Write)
		}
	}
}

func copyDetail(w *walker, m protoreflect.ProtoMessage) {
	n := m.(*pg.CopyStmt)
	stream := n.Filename == "" && !n.IsProgram
	switch {
	case n.IsFrom && stream:
		w.st.Kind = CopyIn
	case n.IsFrom:
		w.st.Kind = CopyFrom
	case stream:
		w.st.Kind = CopyOut
	}
	if n.IsFrom || !stream { // the file is the primary's, as without pgherd
		w.st.Effects |= Writes
		w.raise(Write)
		w.writes = n.IsFrom
	}
	if !stream {
		w.st.Effects |= ServerFile
	}
	if n.Query != nil {
		w.embed(n.Query, true)
	}
}

func vacuumDetail(w *walker, m protoreflect.ProtoMessage) {
	if !m.(*pg.VacuumStmt).IsVacuumcmd {
		w.st.Kind = Analyze
	}
}

func createTableAsDetail(w *walker, m protoreflect.ProtoMessage) {
	n := m.(*pg.CreateTableAsStmt)
	w.into(n.Into)
	w.embed(n.Query, !n.Into.GetSkipData()) // WITH NO DATA runs nothing
}

// explainDetail knows that planning runs no statement, though it may run functions.
func explainDetail(w *walker, m protoreflect.ProtoMessage) {
	n := m.(*pg.ExplainStmt)
	analyze := false
	for _, option := range n.Options {
		if o := option.GetDefElem(); o.GetDefname() == "analyze" {
			analyze = boolean(o)
		}
	}
	w.embed(n.Query, analyze)
	if analyze {
		w.st.Kind = ExplainAnalyze
		return
	}
	w.st.Effects |= w.st.Inner.Effects & (UnknownFunction | Prepared)
	if w.st.Inner.Class == Unknown {
		w.raise(Unknown)
	}
}

// boolean is an option's value; PostgreSQL takes an option without a value for true. A
// value that PostgreSQL would refuse counts as true, which is the careful answer.
func boolean(o *pg.DefElem) bool {
	switch Fold(optionText(o)) {
	case "0", "off", "false":
		return false
	}
	return true
}

func dropDetail(w *walker, m protoreflect.ProtoMessage) {
	n := m.(*pg.DropStmt)
	switch n.RemoveType {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW,
		pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_INDEX, pg.ObjectType_OBJECT_FOREIGN_TABLE:
		for _, object := range n.Objects {
			schema, name := qualified(object.GetList().GetItems())
			w.note(schema, name, true)
		}
	}
}
