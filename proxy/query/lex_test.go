package query

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// lexemes writes tokens as kind[text], with spaces between them.
func lexemes(sql string, syntax Syntax) string {
	kinds := [...]string{"end", "invalid", "comment", "word", "name", "string", "bits", "int", "dec", "param", "op", "punct"}
	var all []string
	lexer := NewLexer([]byte(sql), syntax)
	for {
		t := lexer.Next()
		if t.Kind == End {
			return strings.Join(all, " ")
		}
		all = append(all, fmt.Sprintf("%s[%s]", kinds[t.Kind], sql[t.Start:t.End]))
		if t.Kind == Invalid {
			return strings.Join(all, " ")
		}
	}
}

func TestLexemes(t *testing.T) {
	off := Syntax{BackslashEscapes: true}
	for _, c := range []struct {
		sql    string
		syntax Syntax
		want   string
	}{
		{`SELECT a.b`, Syntax{}, `word[SELECT] word[a] punct[.] word[b]`},
		{`'a''b' 'c'`, Syntax{}, `string['a''b'] string['c']`},
		{"'a' \t\n 'b'", Syntax{}, "string['a' \t\n 'b']"},
		{"'a' -- x\n -- y\n'b' 'c'", Syntax{}, "string['a' -- x\n -- y\n'b'] string['c']"},
		{"'a' /* x */ \n 'b'", Syntax{}, "string['a'] comment[/* x */] string['b']"},
		{`'a\' c'`, Syntax{}, `string['a\'] word[c] invalid[']`},
		{`'a\' b'`, off, `string['a\' b']`},
		{`'a\\' b`, off, `string['a\\'] word[b]`},
		{`E'a\' b'`, Syntax{}, `string[E'a\' b']`},
		{`e'a\\' b`, Syntax{}, `string[e'a\\'] word[b]`},
		{`E'a\`, Syntax{}, `invalid[E'a\]`},
		{`U&'\0041' u&"x" U & 'a'`, Syntax{}, `string[U&'\0041'] name[u&"x"] word[U] op[&] string['a']`},
		{`U&'\0041'`, off, `invalid[U&'\0041']`},
		{`N'a' B'01' x'fF'`, Syntax{}, `word[N] string['a'] bits[B'01'] bits[x'fF']`},
		{`B'0''1'`, Syntax{}, `bits[B'0'] string['1']`},
		{`"a""b" ""`, Syntax{}, `name["a""b"] invalid[""]`},
		{`$$a'b$$ $t$ $$ $u$ $t$`, Syntax{}, `string[$$a'b$$] string[$t$ $$ $u$ $t$]`},
		{`$t$ a`, Syntax{}, `invalid[$t$ a]`},
		{`a$b$c $1 $é$x$é$`, Syntax{}, `word[a$b$c] param[$1] string[$é$x$é$]`},
		{`/* a /* b */ c */ d`, Syntax{}, `comment[/* a /* b */ c */] word[d]`},
		{`/* a /* b */`, Syntax{}, `invalid[/* a /* b */]`},
		{"a--b\nc--", Syntax{}, "word[a] comment[--b] word[c] comment[--]"},
		{`a*/*b*/-c`, Syntax{}, `word[a] op[*] comment[/*b*/] op[-] word[c]`},
		{`1+-2 @- 3 <-- x`, Syntax{}, `int[1] op[+] op[-] int[2] op[@-] int[3] op[<] comment[-- x]`},
		{`1..2 1.5 .5 1. 1e5 1.e+5`, Syntax{}, `int[1] op[..] int[2] dec[1.5] dec[.5] dec[1.] dec[1e5] dec[1.e+5]`},
		{`1_000 0xFF 0o17 0b1 0`, Syntax{}, `int[1_000] int[0xFF] int[0o17] int[0b1] int[0]`},
		{`1a`, Syntax{}, `invalid[1a]`},
		{`1e`, Syntax{}, `invalid[1e]`},
		{`0x`, Syntax{}, `invalid[0x]`},
		{`$1a`, Syntax{}, `param[$1] word[a]`},
		{`a::int := b => c <> d`, Syntax{}, `word[a] op[::] word[int] op[:=] word[b] op[=>] word[c] op[<>] word[d]`},
	} {
		if got := lexemes(c.sql, c.syntax); got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.sql, got, c.want)
		}
	}
}

// parserTokens are the token boundaries that pg_query finds, and whether it finds any.
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

// lexerTokens are ours. Strings that go on after a comment are told apart: to
// pg_query, where comments are tokens, they are two strings, in PostgreSQL one.
func lexerTokens(sql string) (all [][2]int, valid, continued bool) {
	lexer := NewLexer([]byte(sql), Syntax{})
	for {
		t := lexer.Next()
		switch t.Kind {
		case End:
			return all, true, continued
		case Invalid:
			return nil, false, continued || strings.Contains(sql[t.Start:], "--")
		case String, BitString:
			continued = continued || sql[t.Start] != '$' && strings.Contains(sql[t.Start:t.End], "--")
		}
		all = append(all, [2]int{t.Start, t.End})
	}
}

// refusedByValue are strings that PostgreSQL's lexer splits as ours does, and
// then refuses for what they contain.
func refusedByValue(sql string) bool {
	return strings.ContainsAny(sql, `\`) || strings.Contains(strings.ToLower(sql), "u&") || !utf8.ValidString(sql)
}

// sameTokens forgives pg_query that it does not know where U&'...' and U&"..." end.
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
			t.Fatalf("%q: parser valid %v, lexer %v %v", sql, valid, ours, got)
		}
		if valid && !sameTokens(string(sql), got, want) {
			t.Fatalf("%q:\n got %v\nwant %v", sql, got, want)
		}
	})
}
