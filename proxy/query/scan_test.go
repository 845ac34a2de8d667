package query

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v5"

	"pgherd/proxy/query/lex"
)

// These tests check that the lexer finds the tokens that the parser finds.

// parserTokens are the boundaries of the tokens that pg_query finds. valid says whether it can find them.
func parserTokens(sql string) (all [][2]int, valid bool) {
	result, err := pg.Scan(sql)
	if err != nil {
		return nil, false
	}
	for _, t := range result.Tokens {
		all = append(all, [2]int{int(t.Start), int(t.End)})
	}
	return all, true
}

// lexerTokens are those of pgherd's lexer. continued says that a string goes on after a comment: pg_query, for which
// comments are tokens, has two strings then, PostgreSQL one.
func lexerTokens(sql string) (all [][2]int, valid, continued bool) {
	lexer := lex.New([]byte(sql), Syntax{})
	for {
		t := lexer.Next()
		switch t.Kind {
		case lex.End:
			return all, true, continued
		case lex.Invalid:
			return nil, false, continued || strings.Contains(sql[t.Start:], "--")
		case lex.String, lex.BitString:
			continued = continued || sql[t.Start] != '$' && strings.Contains(sql[t.Start:t.End], "--")
		}
		all = append(all, [2]int{t.Start, t.End})
	}
}

// refusedByValue are strings that PostgreSQL's lexer splits as pgherd's does, and then refuses for what they contain.
func refusedByValue(sql string) bool {
	return strings.ContainsAny(sql, `\`) || strings.Contains(strings.ToLower(sql), "u&") || !utf8.ValidString(sql)
}

// sameTokens compares, except that pg_query does not know where U&'...' and U&"..." end.
func sameTokens(sql string, got, want [][2]int) bool {
	return slices.EqualFunc(got, want, func(g, w [2]int) bool {
		unicode := strings.HasPrefix(strings.ToLower(sql[g[0]:g[1]]), "u&")
		return g[0] == w[0] && (g[1] == w[1] || unicode)
	})
}

func FuzzLexer(f *testing.F) {
	for _, seed := range []string{
		"SELECT 'a''b' || E'\\'c' || U&'d' || $x$e$x$ FROM \"t\" -- end", "/* a /* b */ c */ 1.5e+10 .5 1..2 $1 0x1F 1_0",
		"'a'\n'b' 'c' -- d\n 'e'", "a<=-1 @-@ *+- !=- <> => := :: ~~*/**/", "x'ff'\n'0' b'1' n'q' \"a\"\"b\"", "$a$ $$ $a$ $1x $", "1e 1ee5 0b2 0o8 1__0", `U&"0"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sql []byte) {
		if len(sql) > 4096 || bytes.IndexByte(sql, 0) >= 0 {
			return
		}
		want, valid := parserTokens(string(sql))
		got, ours, continued := lexerTokens(string(sql))
		if continued || !valid && refusedByValue(string(sql)) {
			return
		}
		if valid != ours {
			t.Fatalf("%q: the parser finds it valid: %v, the lexer: %v, tokens %v", sql, valid, ours, got)
		}
		if valid && !sameTokens(string(sql), got, want) {
			t.Fatalf("%q:\n got %v\nwant %v", sql, got, want)
		}
	})
}
