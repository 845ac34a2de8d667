package admin

import "pgherd/proxy/status"

// showPoolCache shows a cache that does not exist yet, so everything is 0.
var showPoolCache = command{
	name: "pool_cache",
	doc:  "The query cache, which this version does not have; everything is 0.",
	columns: []string{"num_cache_hits", "num_selects", "cache_hit_ratio", "num_hash_entries", "used_hash_entries", "num_cache_entries",
		"used_cache_entries_size", "free_cache_entries_size", "fragment_cache_entries_size"},
	rows: func(*status.State, uint32) [][]string {
		return [][]string{{"0", "0", "0.00", "0", "0", "0", "0", "0", "0"}}
	},
}
