package registry

import (
	"fmt"
	"strings"
	"testing"

	"pgherd/proxy/pool"
)

// TestProvenIsBounded checks the limit in bytes over all pools. The statement added last is known.
func TestProvenIsBounded(t *testing.T) {
	var p Proven
	long := strings.Repeat("x", 10_000)
	for i := range 2 * provenBytes / len(long) {
		key := pool.Target{Database: fmt.Sprint("db", i%7), User: "u"}.On(0)
		statement := fmt.Sprint(i, long)
		p.Add(key, statement)
		p.Add(key, statement)
		if !p.Has(key, statement) {
			t.Fatalf("statement %d, which was added last, is not known", i)
		}
		held := 0
		for _, known := range p.pools {
			held += known.Len() * len(long)
		}
		if held > provenBytes {
			t.Fatalf("%d bytes are held after %d statements", held, i)
		}
	}
}
