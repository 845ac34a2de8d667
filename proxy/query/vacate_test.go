package query

import (
	"reflect"
	"strings"
	"testing"
)

func TestVacates(t *testing.T) {
	drop := func(name string) []Vacate { return []Vacate{{Database: name}} }
	copied := func(name string) []Vacate { return []Vacate{{Database: name, Copies: true}} }
	for sql, want := range map[string][]Vacate{
		"DROP DATABASE a": drop("a"),
		" drop /* x */ Database If Exists \"A \"\"b\" ; ":            drop(`A "b`),
		"-- x\nDROP DATABASE Foo":                                    drop("foo"),
		"DROP DATABASE a WITH (FORCE)":                               {{Database: "a", Force: true}},
		"DROP DATABASE IF EXISTS a (force)":                          {{Database: "a", Force: true}},
		"ALTER DATABASE a RENAME TO b":                               drop("a"),
		"ALTER DATABASE a SET TABLESPACE s":                          drop("a"),
		"BEGIN; ALTER DATABASE a RENAME TO b; COMMIT":                drop("a"),
		"ALTER DATABASE a RENAME TO b; ALTER DATABASE c RENAME TO d": {{Database: "a"}, {Database: "c"}},
		"CREATE DATABASE a":                                          copied("template1"),
		"CREATE DATABASE a OWNER = b TEMPLATE DEFAULT":               copied("template1"),
		"CREATE DATABASE a TEMPLATE c":                               copied("c"),
		"create database a with template = \"C\" strategy file_copy": copied("C"),
		"CREATE DATABASE a TEMPLATE='c'":                             copied("c"),
		"CREATE DATABASE " + strings.Repeat("a", 99):                 copied("template1"),
		"DROP DATABASE " + strings.Repeat("a", 99):                   drop(strings.Repeat("a", 63)),
		"ALTER DATABASE a SET work_mem = 1":                          nil,
		"ALTER DATABASE a OWNER TO b":                                nil,
		"ALTER DATABASE a RESET ALL":                                 nil,
		"DROP DATABASE U&\"\\0061\"":                                 nil,
		"DROP TABLE database":                                        nil,
		"SELECT 'DROP DATABASE a'":                                   nil,
		"GRANT CONNECT ON DATABASE a TO b":                           nil,
		"DROP DATABASE":                                              nil,
		"CREATE DATABASE a TEMPLATE":                                 nil,
		"DROP DATABASE \"a":                                          nil,
		"ab database":                                                nil,
		"":                                                           nil,
	} {
		if got := Vacates([]byte(sql), Syntax{}); len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", sql, got, want)
		}
	}
}

func TestMentions(t *testing.T) {
	for text, want := range map[string]bool{
		"database": true, "xDaTaBaSex": true, "DATABASE": true, "datab": false, "abase": false, "b": false, "": false,
		"bbb database": true, "BBB dataBase": true, "datbase datafase": false,
	} {
		if mentions([]byte(text)) != want {
			t.Errorf("%q: got the opposite of %v", text, want)
		}
	}
}

func BenchmarkVacatesOfOthers(b *testing.B) {
	sql := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 4711 AND bid = 12")
	for b.Loop() {
		if Vacates(sql, Syntax{}) != nil {
			b.Fatal("a harmless statement wants a database for itself")
		}
	}
}

func FuzzVacates(f *testing.F) {
	f.Add("DROP DATABASE IF EXISTS \"a\" WITH (FORCE)")
	f.Add("CREATE DATABASE a TEMPLATE = 'b'")
	f.Fuzz(func(t *testing.T, sql string) {
		for _, v := range Vacates([]byte(sql), Syntax{}) {
			if v.Database == "" || len(v.Database) > longestName {
				t.Errorf("the database is %q", v.Database)
			}
		}
	})
}
