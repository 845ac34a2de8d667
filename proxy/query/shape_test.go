package query

import "testing"

// TestShape checks that strings that differ in constants are parsed once, and that what depends on
// constants is decided by the text.
func TestShape(t *testing.T) {
	for _, test := range []struct {
		first, second string
		shared        bool
	}{
		{"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 22 -- here", true},
		{"SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = 'it''s'", true},
		{"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 1.5", false},
		{"SELECT a FROM t", "SELECT a FROM u", false},
		{"SET work_mem = '1MB'", "SET work_mem = '2MB'", false},
		{"SELECT set_config('a.b', 'c', true)", "SELECT set_config('a.b', 'c', false)", false},
	} {
		cache := NewCache(100, 1<<20)
		if _, known := cache.Shaped([]byte(test.first), Syntax{}); known {
			t.Fatalf("%s: an empty cache has this statement", test.first)
		}
		want := cache.Shape([]byte(test.first), Syntax{})
		got, known := cache.Shaped([]byte(test.second), Syntax{})
		if known != test.shared || known && got != want {
			t.Errorf("%s and %s share an entry: %v", test.first, test.second, known)
		}
		if again, known := cache.Shaped([]byte(test.first), Syntax{}); !known || again != want {
			t.Errorf("%s: the statement is not remembered", test.first)
		}
	}
}

// TestShapeOfUnsafeEncodings checks encodings in which a byte of a literal may be half a character, so that another
// statement may follow.
func TestShapeOfUnsafeEncodings(t *testing.T) {
	unsafe := Syntax{UnsafeEncoding: true}
	for sql, want := range map[string]Problem{
		"SELECT E'\x95\\'; DELETE FROM t --'": UnsafeEncoding,
		"SELECT E'a\\'; DELETE FROM t --'":    None,
		"SELECT 1 -- \x95\\":                  UnsafeEncoding,
		"SELECT 1":                            None,
	} {
		cache := NewCache(100, 1<<20)
		cache.Shape([]byte("SELECT ''"), unsafe)
		cache.Shape([]byte("SELECT 1"), unsafe)
		if script, known := cache.Shaped([]byte(sql), unsafe); known && script.Problem != want {
			t.Errorf("%q is found as %s, want no entry", sql, describe(script))
		}
		if got := cache.Shape([]byte(sql), unsafe).Problem; got != want {
			t.Errorf("%q: got %q, want %q", sql, got, want)
		}
	}
}

func TestShapedDoesNotAllocate(t *testing.T) {
	cache := NewCache(100, 1<<20)
	sql := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	cache.Shape(sql, Syntax{})
	other := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 234567")
	if n := testing.AllocsPerRun(100, func() { cache.Shaped(other, Syntax{}) }); n > 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func BenchmarkShaped(b *testing.B) {
	cache := NewCache(100, 1<<20)
	sql := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	cache.Shape(sql, Syntax{})
	other := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 234567")
	for b.Loop() {
		cache.Shaped(other, Syntax{})
	}
}
