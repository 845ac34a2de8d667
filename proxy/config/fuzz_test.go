package config

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzParse checks that the parser returns a configuration or a bounded list of errors, and that a configuration that is
// written out is read as the same one.
func FuzzParse(f *testing.F) {
	f.Add(Sample())
	f.Add("include 'c'\ninclude c")
	for _, test := range badLines {
		f.Add(oneNode + test.line)
	}
	for _, row := range formerLines {
		f.Add(oneNode + row.lines)
	}
	f.Add(oneNode + `sr_check_database = '\'a''\'` + "\nharmless_function_list = 'a\\,b\\ ,c'\nreset_query_list = '\\;;a\\ ;b\\\\;c'")
	f.Add("\ufeffport=0x1F\r\nbackend_hostname0 '\\101\\n''\\''")
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := Parse(files{"/c": text}.open, "/c", CommandLine{})
		if err != nil {
			if n := strings.Count(err.Error(), "\n"); n > MaxProblems || len(err.Error()) > 1<<20 {
				t.Fatalf("%d lines, %d bytes of errors", n, len(err.Error()))
			}
			return
		}
		again, _, err := Parse(files{"/c": written(c)}.open, "/c", CommandLine{})
		if err != nil {
			t.Fatalf("the configuration written to a file:\n%s\nis refused: %v", written(c), err)
		}
		if ch := again.Diff(c); len(ch.Reload)+len(ch.Restart) != 0 {
			t.Fatalf("the configuration read again differs in %v", ch)
		}
	})
}

// written is a file with the values that c was given.
func written(c *Config) string {
	var b strings.Builder
	for k, e := range c.settings().set {
		fmt.Fprintf(&b, "%s = %s\n", k.param.nameAt(k.index), k.param.written(e.value))
	}
	return b.String()
}
