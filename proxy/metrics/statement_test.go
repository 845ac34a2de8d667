package metrics

import "testing"

func TestStatementsMerge(t *testing.T) {
	a, b := Statements{Select: 1, Error: 2}, Statements{Select: 10, DDL: 5}
	a.Merge(&b)
	if a != (Statements{Select: 11, DDL: 5, Error: 2}) || b[Error] != 0 {
		t.Errorf("the counts are %v and %v", a, b)
	}
}
