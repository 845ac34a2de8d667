package query

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestCacheRemembers(t *testing.T) {
	c := NewCache(64, 1<<20)
	sql := []byte("SELECT a FROM t")
	if _, ok := c.Cached(sql, Syntax{}); ok {
		t.Fatal("an empty cache has an entry")
	}
	script := c.Parse(sql, Syntax{})
	copy(sql, "XXXXXX") // the caller may overwrite its buffer
	if got, ok := c.Cached([]byte("SELECT a FROM t"), Syntax{}); !ok || got != script {
		t.Error("the script is not remembered")
	}
	if _, ok := c.Cached([]byte("SELECT a FROM t"), Syntax{BackslashEscapes: true}); ok {
		t.Error("the script is found for another syntax")
	}
	if c.Parse([]byte("SELECT a FROM t"), Syntax{}) != script {
		t.Error("the text is parsed again")
	}
	for sql, want := range map[string]bool{"SELEC": true, "": true, "SELECT 'a": false, strings.Repeat(" ", MaxBytes+1): false} {
		c.Parse([]byte(sql), Syntax{})
		if _, ok := c.Cached([]byte(sql), Syntax{}); ok != want {
			t.Errorf("%.20q: remembered: %v, want %v", sql, ok, want)
		}
	}
}

// counted adds up what the cache has.
func (c *Cache) counted() (entries int, bytes int64) {
	for i := range c.slots {
		if e := c.slots[i].Load(); e != nil {
			entries++
			bytes += e.size
		}
	}
	return entries, bytes
}

func TestCacheIsBounded(t *testing.T) {
	const limit = 64 << 10
	c := NewCache(1024, limit)
	for i := range 3_000 {
		c.put(&Script{Text: fmt.Sprint(i, strings.Repeat("x", i%2_000))})
		if used := c.used.Load(); used > limit {
			t.Fatalf("%d bytes are used after %d texts", used, i)
		}
	}
	entries, bytes := c.counted()
	if bytes != c.used.Load() || entries < limit/4_000 {
		t.Errorf("%d entries have %d bytes, but %d are counted", entries, bytes, c.used.Load())
	}
	c.put(&Script{Text: strings.Repeat("x", limit/maxShare)})
	if _, ok := c.Cached([]byte(strings.Repeat("x", limit/maxShare)), Syntax{}); ok {
		t.Error("one entry may use the whole cache")
	}
}

// TestCacheKeepsWhatIsUsed checks that many strings that come once do not remove those that come
// again and again.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	c := NewCache(256, 1<<20)
	hot := []byte("SELECT 1")
	c.Parse(hot, Syntax{})
	misses := 0
	for i := range 5_000 {
		if _, ok := c.Cached(hot, Syntax{}); !ok {
			misses++
			c.Parse(hot, Syntax{})
		}
		c.put(&Script{Text: fmt.Sprint(i)})
	}
	if misses > 0 {
		t.Errorf("got %d misses", misses)
	}
}

func TestCacheShared(t *testing.T) {
	const limit = 32 << 10
	c := NewCache(128, limit)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 3_000 {
				sql := fmt.Sprintf("SELECT %d FROM t", (i*7+worker)%200)
				script, ok := c.Cached([]byte(sql), Syntax{})
				if !ok {
					script = &Script{Text: sql}
					c.put(script)
				}
				if script.Text != sql {
					t.Errorf("asked for %s, got %s", sql, script.Text)
				}
			}
		})
	}
	group.Wait()
	if _, bytes := c.counted(); bytes != c.used.Load() || bytes > limit {
		t.Errorf("the cache has %d bytes, but %d are counted", bytes, c.used.Load())
	}
}

func TestCacheHitAllocatesNothing(t *testing.T) {
	c := NewCache(64, 1<<20)
	sql := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	c.Parse(sql, Syntax{})
	if n := testing.AllocsPerRun(100, func() { c.Cached(sql, Syntax{}) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
