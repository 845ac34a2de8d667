package query

import (
	"slices"

	"pgherd/proxy/query/lex"
)

// What a script does to the transaction block in which it runs. A nil Script, of a text
// that was not analysed, does nothing.

// Begins says that it is a BEGIN and nothing else.
func (s *Script) Begins() bool { return s.alone() != nil && s.alone().Kind == Begin }

// Ends says that it ends a block, begins no other, and does nothing else.
func (s *Script) Ends() bool {
	st := s.alone()
	return st != nil && (st.Kind == Commit || st.Kind == Rollback) && !st.Chain
}

// Chains says that it ends a block and begins another like it.
func (s *Script) Chains() bool { return s.alone() != nil && s.alone().Chain }

// Recovers says that it does nothing except what a failed block accepts.
func (s *Script) Recovers() bool {
	if st := s.alone(); st != nil {
		switch st.Kind {
		case Commit, Rollback, RollbackTo, PrepareTransaction:
			return true
		}
	}
	return false
}

// Commits says that it may commit the block in which it runs.
func (s *Script) Commits() bool {
	return s == nil || s.Unknown() || slices.ContainsFunc(s.Statements, func(st Statement) bool {
		return st.Kind == Commit || st.Kind == PrepareTransaction
	})
}

// EndsFirst says that it ends a block and goes on with more statements.
func (s *Script) EndsFirst() bool {
	return s != nil && len(s.Statements) > 1 && (s.Statements[0].Kind == Commit || s.Statements[0].Kind == Rollback)
}

// Empty says that it certainly has no statement at all.
func (s *Script) Empty() bool { return s != nil && !s.Unknown() && len(s.Statements) == 0 }

// BeginTag is the command tag with which PostgreSQL completes it, if it Begins.
func (s *Script) BeginTag() string {
	st := s.alone()
	lexer := lex.New([]byte(s.Text[st.Offset:]), s.Syntax)
	t := lexer.Next()
	for t.Kind == lex.Comment {
		t = lexer.Next()
	}
	if first := s.Text[st.Offset+t.Start : st.Offset+t.End]; len(first) > 0 && (first[0] == 's' || first[0] == 'S') {
		return "START TRANSACTION"
	}
	return "BEGIN"
}

// alone is the only statement; nil if there is none, or several.
func (s *Script) alone() *Statement {
	if s == nil || len(s.Statements) != 1 {
		return nil
	}
	return &s.Statements[0]
}
