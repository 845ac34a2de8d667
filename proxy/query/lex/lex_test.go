package lex

import (
	"fmt"
	"strings"
	"testing"
)

// lexemes writes tokens as kind[text], with spaces between them.
func lexemes(sql string, syntax Syntax) string {
	kinds := [...]string{"end", "invalid", "comment", "word", "name", "string", "bits", "int", "dec", "param", "op", "punct"}
	var all []string
	lexer := New([]byte(sql), syntax)
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
