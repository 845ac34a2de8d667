package route

import (
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/env"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"pgherd/proxy/nodes"
)

// expressionNames are the names that a balance_expression may use.
var expressionNames = []struct {
	name string
	kind *cel.Type
	of   func(f *facts) any
}{
	{"app", cel.StringType, func(f *facts) any { return types.String(cut(f.client.Application)) }},
	{"database", cel.StringType, func(f *facts) any { return types.String(cut(f.client.Database)) }},
	{"user", cel.StringType, func(f *facts) any { return types.String(cut(f.client.User)) }},
	{"primary", cel.BoolType, func(f *facts) any { return types.Bool(f.node.Role == nodes.Primary) }},
	{"node.index", cel.DoubleType, func(f *facts) any { return types.Double(f.node.Index) }},
	{"node.role", cel.StringType, func(f *facts) any { return types.String(f.node.Role.String()) }},
	{"node.weight", cel.DoubleType, func(f *facts) any { return types.Double(f.node.Weight) }},
	{"node.lag_bytes", cel.DoubleType, func(f *facts) any { return types.Double(f.node.Bytes) }},
	{"node.lag_ms", cel.DoubleType, func(f *facts) any { return milliseconds(f.node.Delay) }},
	{"node.active", cel.DoubleType, func(f *facts) any { return types.Double(f.node.Active) }},
	{"node.latency_ms", cel.DoubleType, func(f *facts) any { return milliseconds(f.node.Latency) }},
}

// expressionFunctions are all functions that it may call. CEL's others convert types,
// read dates, or loop.
var expressionFunctions = []string{"startsWith", "endsWith", "contains", "matches"}

var expressionOperators = []string{
	operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot,
	operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
	operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Negate, operators.In,
}

// expressionEnv is the language of all expressions, which never changes.
var expressionEnv = sync.OnceValues(func() (*cel.Env, error) {
	subset := &env.LibrarySubset{DisableMacros: true}
	for _, names := range [][]string{expressionFunctions, expressionOperators} {
		for _, name := range names {
			subset.AddIncludedFunctions(env.NewFunction(name))
		}
	}
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(subset)),
		cel.ParserRecursionLimit(maxNesting),
	}
	for _, v := range expressionNames {
		options = append(options, cel.Variable(v.name, v.kind))
	}
	return cel.NewCustomEnv(options...)
})

func nameList() string {
	all := make([]string, len(expressionNames))
	for i, v := range expressionNames {
		all[i] = v.name
	}
	return strings.Join(all, ", ")
}

// facts are what the names mean for one candidate: a cel.Activation.
type facts struct {
	client Client
	node   Candidate
}

// ResolveName walks through the list, which is as fast as a map for eleven names.
func (f *facts) ResolveName(name string) (any, bool) {
	for i := range expressionNames {
		if v := &expressionNames[i]; v.name == name {
			return v.of(f), true
		}
	}
	return nil, false
}

func (f *facts) Parent() cel.Activation { return nil }

func milliseconds(d time.Duration) types.Double {
	return types.Double(d) / types.Double(time.Millisecond)
}

// cut shortens a name to whole characters.
func cut(name string) string {
	if len(name) <= maxNameInBytes {
		return name
	}
	end := maxNameInBytes
	for end > maxNameInBytes-utf8.UTFMax && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}
