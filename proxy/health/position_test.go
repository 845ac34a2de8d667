package health

import "testing"

// TestRecordsEnd checks that the header of a page without records does not count as inserted WAL.
func TestRecordsEnd(t *testing.T) {
	const page, segment = 8192, 16 << 20
	for _, row := range []struct {
		what      string
		lsn, want uint64
	}{
		{"in the middle of a page", 5*page + 4000, 5*page + 4000},
		{"after a page's header", 5*page + 24, 5 * page},
		{"a record ends where a segment's header would", 5*page + 40, 5*page + 40},
		{"after a segment's header", 3*segment + 40, 3 * segment},
		{"at the end of a page", 5 * page, 5 * page},
		{"nothing", 0, 0},
	} {
		if got := recordsEnd(row.lsn, page, segment); got != row.want {
			t.Errorf("%s: got %d, want %d", row.what, got, row.want)
		}
	}
	if got := recordsEnd(5*page+24, 0, 0); got != 5*page+24 {
		t.Errorf("with pages of unknown length: got %d", got)
	}
}
