package registry

import (
	"fmt"
	"slices"
	"testing"

	"pgherd/proxy/pool"
	"pgherd/proxy/wire"
)

func TestTemplates(t *testing.T) {
	var s Templates
	key := func(node int, database, user, params string) pool.Key {
		return pool.Target{Database: database, User: user, Params: params}.On(node)
	}
	keys := []pool.Key{key(0, "a", "x", ""), key(0, "a", "x", "p"), key(0, "a", "y", ""), key(0, "b", "x", ""), key(1, "a", "x", "")}
	for i, k := range slices.Backward(keys) {
		s.Learn(&pool.Server{Key: k, Params: []wire.Param{{Name: fmt.Sprint(i)}}})
	}
	find := func(k pool.Key) []wire.Param {
		params, _ := s.Find(k)
		return params
	}
	if got := find(keys[3]); len(got) != 1 || got[0].Name != "3" || find(key(9, "", "", "")) != nil {
		t.Errorf("the template is %v, want the fourth one; want none for an unknown key", got)
	}
	if got := s.Keys(); !slices.Equal(got, keys) {
		t.Errorf("keys are %v, want them in order", got)
	}
	s.Forget()
	if find(keys[0]) != nil || len(s.Keys()) != 0 {
		t.Error("a template is found after Forget")
	}
	for i := range templatesLimit + 1 {
		s.Learn(&pool.Server{Key: key(i, "a", "x", "")})
	}
	if n := len(s.Keys()); n > templatesLimit {
		t.Errorf("%d templates are kept, want the limit at most", n)
	}
}
