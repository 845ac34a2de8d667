package route

import (
	"cmp"
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Limits of a balance_expression, so that none occupies a worker for long.
const (
	maxExpression  = 1000 // bytes of its text
	maxCost        = 200  // for one evaluation, in CEL's units: about one for each name, operator and 10 characters read
	maxRegexp      = 100  // steps of one regular expression, once compiled
	maxNesting     = 50   // of brackets and operators
	maxNameInBytes = 63   // of app, database and user; the rest is cut off, as in PostgreSQL
)

// Expression is a balance_expression: a condition, in CEL, that a candidate must meet.
// It is immutable, and any number of goroutines may evaluate it.
type Expression struct{ program cel.Program }

// ParseExpression compiles a balance_expression, such as
//
//	app.startsWith("report") && node.lag_ms < 200
//
// Its names are those of expressionNames; every number is a double, 200 as well as
// 200.0. There are the operators of CEL but % and [], and startsWith, endsWith,
// contains and matches, whose pattern is a literal (RE2); nothing that loops. What
// is too long, is no condition, or may cost more than maxCost is an error.
func ParseExpression(text string) (*Expression, error) {
	e, err := compile(text, maxCost)
	if err != nil {
		return nil, fmt.Errorf("parse expression: %w", err)
	}
	return e, nil
}

func compile(text string, runtimeCost uint64) (*Expression, error) {
	env, err := expressionEnv()
	if err != nil {
		return nil, err
	}
	tree, err := check(env, text)
	if err != nil {
		return nil, err
	}
	cost, err := env.EstimateCost(tree, sizes{})
	if err != nil {
		return nil, err
	}
	if cost.Max > maxCost {
		return nil, fmt.Errorf("it may cost %d, %d is the limit", cost.Max, maxCost)
	}
	program, err := env.Program(tree, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(runtimeCost))
	if err != nil {
		return nil, err
	}
	return &Expression{program}, nil
}

func check(env *cel.Env, text string) (*cel.Ast, error) {
	switch {
	case len(text) > maxExpression:
		return nil, fmt.Errorf("it has %d bytes, %d is the limit", len(text), maxExpression)
	case strings.TrimSpace(text) == "":
		return nil, errors.New("it is empty")
	}
	tree, issues := env.Parse(text)
	if err := first(issues); err != nil {
		return nil, err
	}
	if err := plain(tree.NativeRep().Expr()); err != nil {
		return nil, err
	}
	tree, issues = env.Check(tree)
	if err := first(issues); err != nil {
		return nil, err
	}
	if t := tree.OutputType(); !t.IsExactType(types.BoolType) {
		return nil, fmt.Errorf("it is %v, not bool", t)
	}
	return tree, nil
}

// first is the first of the issues, with the list of names if one is unknown.
func first(issues *cel.Issues) error {
	if issues.Err() == nil {
		return nil
	}
	e := issues.Errors()[0]
	if e.Location.Line() < 1 { // a limit of the parser's
		return errors.New(e.Message)
	}
	err := fmt.Errorf("line %d, column %d: %s", e.Location.Line(), e.Location.Column()+1, e.Message)
	if strings.HasPrefix(e.Message, "undeclared reference") {
		return fmt.Errorf("%w; there are %s and %s", err, nameList(), strings.Join(expressionFunctions, ", "))
	}
	return err
}

// plain makes every number a double, because CEL has no operators, not even ==, between
// a double and 200. It refuses what an expression does not need.
func plain(root ast.Expr) (err error) {
	numbers := ast.NewExprFactory()
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.LiteralKind:
			if n, ok := double(e.AsLiteral()); ok {
				e.SetKindCase(numbers.NewLiteral(e.ID(), n))
			}
		case ast.CallKind:
			if c := e.AsCall(); c.FunctionName() == overloads.Matches {
				err = cmp.Or(err, short(c.Args()))
			}
		case ast.MapKind, ast.StructKind, ast.ComprehensionKind:
			err = errors.New("it has a map, an object or a loop")
		}
	}))
	return err
}

func double(v ref.Val) (types.Double, bool) {
	switch n := v.(type) {
	case types.Int:
		return types.Double(n), true
	case types.Uint:
		return types.Double(n), true
	}
	return 0, false
}

// short says what is wrong with the pattern of matches, its last argument. CEL has a
// limit of its own, but panics on x{2} (v0.31.0).
func short(args []ast.Expr) error {
	if len(args) == 0 || args[len(args)-1].Kind() != ast.LiteralKind {
		return errors.New("the pattern of matches has to be a literal")
	}
	pattern, ok := args[len(args)-1].AsLiteral().(types.String)
	if !ok {
		return nil // the types are checked later
	}
	tree, err := syntax.Parse(string(pattern), syntax.Perl)
	if err != nil {
		return err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err == nil && len(program.Inst) > maxRegexp {
		return fmt.Errorf("the pattern %q takes %d steps, %d is the limit", pattern, len(program.Inst), maxRegexp)
	}
	return err
}

// sizes tells the cost estimate how long names may be.
type sizes struct{}

func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	if node.Type().IsExactType(types.StringType) && node.Expr().Kind() != ast.CallKind {
		return &checker.SizeEstimate{Max: maxNameInBytes}
	}
	return nil
}

func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil // CEL's own estimates are right
}

// Ask says whether the expression holds for a candidate. An error, which wraps CEL's,
// means that the evaluation cost too much. The example above takes 1.3 us and 13
// allocations (544 bytes), a comparison of one number 0.7 us and 9; counting the costs
// takes two thirds of that.
func (e *Expression) Ask(client Client, c Candidate) (bool, error) {
	out, _, err := e.program.Eval(&facts{client, c})
	if err != nil {
		return false, fmt.Errorf("evaluate balance_expression for node %d: %w", c.Index, err)
	}
	return out == types.True, nil
}
