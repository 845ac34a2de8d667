package pool

import (
	"slices"
	"strings"

	"pgherd/proxy/wire"
)

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
