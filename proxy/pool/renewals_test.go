package pool

import (
	"fmt"
	"testing"
	"time"
)

func TestRenewals(t *testing.T) {
	var r Renewals
	check := func(database string, second int, want bool) {
		t.Helper()
		s := &Server{Key: Target{Database: database}.On(0), Opened: start.Add(time.Duration(second) * time.Second)}
		if r.Outdated(s) != want {
			t.Errorf("a server of %s from second %d: outdated: %v", database, second, !want)
		}
	}
	check("app", 0, false)
	r.Renew("app", start.Add(time.Second))
	check("app", 1, true)
	check("app", 2, false)
	check("web", 1, false)
	r.Renew("web", start.Add(2*time.Second))
	check("app", 1, true)
	check("web", 2, true)
	r.Renew(AllDatabases, start.Add(3*time.Second))
	check("app", 3, true)
	check("web", 3, true)
	check("other", 3, true)
	check("other", 4, false)
}

// TestRenewalsAreBounded checks that beyond the limit more servers are renewed than was asked for, and never fewer.
func TestRenewalsAreBounded(t *testing.T) {
	var r Renewals
	for i := range renewalsLimit + 1 {
		r.Renew(fmt.Sprint("db", i), start)
		if n := len(*r.last.Load()); n > renewalsLimit {
			t.Fatalf("%d renewals are remembered", n)
		}
	}
	for i := range renewalsLimit + 1 {
		if !r.Outdated(&Server{Key: Target{Database: fmt.Sprint("db", i)}.On(0), Opened: start}) {
			t.Fatalf("the renewal of db%d was forgotten", i)
		}
	}
}
