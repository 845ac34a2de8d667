package pool

import (
	"slices"
	"strings"
	"unique"

	"pgherd/proxy/wire"
)

// Target says which servers are alike for a client: logged in to the same
// database, as the same user, with the same start-up parameters.
type Target struct {
	Database string
	User     string
	Params   string // canonical, as EncodeParams gives it
	// Sharing distinguishes clients whose right to a server differs although everything
	// else is alike (I1); see auth.Grant.Sharing. It is never shown (I9).
	Sharing string
	// Replication servers speak the replication protocol; they are never kept idle.
	Replication bool
}

// Key names a pool: a target on a node. It is two words, so that it is cheap
// to compare and to look up.
type Key struct {
	Node   int
	target unique.Handle[Target]
}

// On is the pool of the target's servers on a node.
func (t Target) On(node int) Key { return Key{node, unique.Make(t)} }

// Target is what the pool's servers are logged in to, and as whom.
func (k Key) Target() Target {
	if k == (Key{Node: k.Node}) {
		return Target{}
	}
	return k.target.Value()
}

// EncodeParams is the canonical form of start-up parameters: sorted by name,
// each as name NUL value NUL (neither can hold a NUL on the wire).
func EncodeParams(params []wire.Param) string {
	sorted := slices.Clone(params)
	slices.SortStableFunc(sorted, func(a, b wire.Param) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	for _, p := range sorted {
		b.WriteString(p.Name + "\x00" + p.Value + "\x00")
	}
	return b.String()
}

// DecodeParams is the inverse of EncodeParams.
func DecodeParams(encoded string) (params []wire.Param) {
	parts := strings.Split(encoded, "\x00")
	for i := 0; i+2 <= len(parts)-1; i += 2 {
		params = append(params, wire.Param{Name: parts[i], Value: parts[i+1]})
	}
	return params
}
