package query

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

var transactionKinds = map[pg.TransactionStmtKind]Kind{
	pg.TransactionStmtKind_TRANS_STMT_BEGIN:             Begin,
	pg.TransactionStmtKind_TRANS_STMT_START:             Begin,
	pg.TransactionStmtKind_TRANS_STMT_COMMIT:            Commit,
	pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:          Rollback,
	pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:         Savepoint,
	pg.TransactionStmtKind_TRANS_STMT_RELEASE:           Release,
	pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:       RollbackTo,
	pg.TransactionStmtKind_TRANS_STMT_PREPARE:           PrepareTransaction,
	pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED:   CommitPrepared,
	pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED: RollbackPrepared,
}

func transactionDetail(w *walker, m protoreflect.ProtoMessage) {
	n := m.(*pg.TransactionStmt)
	w.st.Kind = transactionKinds[n.Kind]
	w.st.Chain = n.Chain
	w.name(n.SavepointName)
	switch w.st.Kind {
	case PrepareTransaction, CommitPrepared, RollbackPrepared:
		w.name(n.Gid)
		w.st.Effects |= Writes
	}
	w.mode(n.Options)
}

// mode reads the options of BEGIN and SET TRANSACTION.
func (w *walker) mode(options []*pg.Node) {
	for _, option := range options {
		o := option.GetDefElem()
		w.modeOption(o.GetDefname(), optionText(o))
	}
}

func (w *walker) modeOption(name, value string) {
	switch name {
	case "transaction_isolation":
		w.st.Mode.Isolation = Fold(value)
	case "transaction_read_only":
		w.st.Mode.ReadOnly = choice(value)
	case "transaction_deferrable":
		w.st.Mode.Deferrable = choice(value)
	}
}

func optionText(o *pg.DefElem) string {
	arg := o.GetArg()
	switch {
	case arg.GetAConst() != nil:
		return constantText(arg.GetAConst())
	case arg.GetInteger() != nil:
		return constantText(&pg.A_Const{Val: &pg.A_Const_Ival{Ival: arg.GetInteger()}})
	case arg.GetBoolean() != nil:
		return constantText(&pg.A_Const{Val: &pg.A_Const_Boolval{Boolval: arg.GetBoolean()}})
	}
	return arg.GetString_().GetSval()
}

// choice reads a boolean as PostgreSQL does, by any unambiguous beginning of a word.
func choice(value string) Choice {
	v := Fold(value)
	is := func(word string, least int) bool { return len(v) >= least && strings.HasPrefix(word, v) }
	switch {
	case v == "1" || is("true", 1) || is("yes", 1) || is("on", 2):
		return Yes
	case v == "0" || is("false", 1) || is("no", 1) || is("off", 2):
		return No
	}
	return Unsaid
}

func setDetail(w *walker, m protoreflect.ProtoMessage) {
	n := m.(*pg.VariableSetStmt)
	w.name(Fold(n.Name))
	w.st.Local = n.IsLocal
	switch n.Kind {
	case pg.VariableSetKind_VAR_RESET_ALL:
		w.st.Kind = ResetAll
	case pg.VariableSetKind_VAR_RESET:
		w.st.Kind = Reset
	case pg.VariableSetKind_VAR_SET_DEFAULT:
		w.st.Kind, w.st.Value = Reset, "DEFAULT"
	case pg.VariableSetKind_VAR_SET_MULTI:
		w.setSeveral(n)
		return
	case pg.VariableSetKind_VAR_SET_VALUE:
		w.setValue(n)
	default:
		w.raise(Unknown)
	}
	w.setTransactionVariable()
}

func (w *walker) setValue(n *pg.VariableSetStmt) {
	for _, arg := range n.Args {
		text, ok := settingText(arg)
		if !ok {
			w.raise(Unknown)
			return
		}
		w.st.Values = append(w.st.Values, w.source.client(text))
	}
	w.st.Value = literals(w.st.Values)
	switch w.st.Name {
	case "role":
		w.st.Kind = SetRole
	case "session_authorization":
		w.st.Kind = SetSessionAuthorization
	}
}

// settingText is one constant of SET. PostgreSQL stores an interval, as in SET TIME
// ZONE, as text that begins with INTERVAL; one with fields ("HOUR") is not read.
func settingText(arg *pg.Node) (string, bool) {
	if c := arg.GetAConst(); c != nil {
		return constantText(c), !c.Isnull
	}
	cast := arg.GetTypeCast()
	if cast.GetArg().GetAConst() == nil || len(cast.GetTypeName().GetTypmods()) > 0 {
		return "", false
	}
	return "INTERVAL " + Literal(constantText(cast.Arg.GetAConst())), true
}

// literals writes constants so that they mean the same under any settings.
func literals(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = Literal(v)
	}
	return strings.Join(quoted, ", ")
}

// Literal writes a constant that means the same whatever
// standard_conforming_strings says.
func Literal(value string) string {
	quoted := "'" + strings.ReplaceAll(value, "'", "''") + "'"
	if strings.IndexByte(value, '\\') >= 0 {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// setSeveral is SET TRANSACTION and SET SESSION CHARACTERISTICS.
func (w *walker) setSeveral(n *pg.VariableSetStmt) {
	w.st.Name, w.st.Local = "", false
	w.mode(n.Args)
	if n.Name == "SESSION CHARACTERISTICS" {
		w.st.Kind = SetSessionCharacteristics
		return
	}
	w.st.Kind, w.class = SetTransaction, Control
	if n.Name == "TRANSACTION SNAPSHOT" {
		w.st.Value = w.source.client(constantText(n.Args[0].GetAConst()))
	}
}

// setTransactionVariable handles three settings that belong to the transaction, however
// they are set.
func (w *walker) setTransactionVariable() {
	switch w.st.Name {
	case "transaction_isolation", "transaction_read_only", "transaction_deferrable":
		w.raise(Control)
		if w.st.Kind == Set && len(w.st.Values) == 1 {
			w.st.Kind = SetTransaction
			w.modeOption(w.st.Name, w.st.Values[0])
		}
	}
}

func discardDetail(w *walker, m protoreflect.ProtoMessage) {
	switch m.(*pg.DiscardStmt).Target {
	case pg.DiscardMode_DISCARD_ALL:
		w.st.Kind = DiscardAll
	case pg.DiscardMode_DISCARD_PLANS:
		w.st.Kind = DiscardPlans
	case pg.DiscardMode_DISCARD_SEQUENCES:
		w.st.Kind = DiscardSequences
	case pg.DiscardMode_DISCARD_TEMP:
		w.st.Kind = DiscardTemp
	}
}

func prepareDetail(w *walker, m protoreflect.ProtoMessage) {
	n := m.(*pg.PrepareStmt)
	w.name(n.Name)
	w.embed(n.Query, false)
}

func deallocateDetail(w *walker, m protoreflect.ProtoMessage) {
	if w.name(m.(*pg.DeallocateStmt).Name); w.st.Name == "" {
		w.st.Kind = DeallocateAll
	}
}

const cursorHold = 0x20 // CURSOR_OPT_HOLD of the parser

func declareDetail(w *walker, m protoreflect.ProtoMessage) {
	n := m.(*pg.DeclareCursorStmt)
	w.name(n.Portalname)
	if n.Options&cursorHold != 0 {
		w.st.Effects |= HoldCursor
	}
	w.embed(n.Query, true)
}

func fetchDetail(w *walker, m protoreflect.ProtoMessage) {
	n := m.(*pg.FetchStmt)
	w.name(n.Portalname)
	if n.Ismove {
		w.st.Kind = Move
	}
}

func closeDetail(w *walker, m protoreflect.ProtoMessage) {
	if w.name(m.(*pg.ClosePortalStmt).Portalname); w.st.Name == "" {
		w.st.Kind = CloseAll
	}
}

func unlistenDetail(w *walker, m protoreflect.ProtoMessage) {
	if w.name(m.(*pg.UnlistenStmt).Conditionname); w.st.Name == "" {
		w.st.Kind = UnlistenAll
	}
}

func notifyDetail(w *walker, m protoreflect.ProtoMessage) {
	n := m.(*pg.NotifyStmt)
	w.name(n.Conditionname)
	w.st.Value = w.source.client(n.Payload)
}

// Fold folds a name as PostgreSQL does, whatever its locale: letters that are not ASCII
// are kept.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// ASCII says that a text means the same in every encoding.
func ASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}
