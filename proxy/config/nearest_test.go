package config

import "testing"

// TestNearestNames checks that a hint names the parameter of a misspelled line, and never one that
// would do the opposite.
func TestNearestNames(t *testing.T) {
	for wrong, want := range map[string]string{
		"prot": "port", "backend_hostnam1": "backend_hostname1", "backend_hostname01": "backend_hostname1",
		// Slips in names of older versions lead to present names.
		"white_functon_list": "read_only_function_list", "whte_function_list": "read_only_function_list", "black_functon_list": "write_function_list",
		"black_query_patern_list": "primary_routing_query_pattern_list", "white_memqcache_tables_list": "cache_safe_memqcache_table_list",
		"follow_master_comand": "follow_primary_command", "other_pgpool_hostnam2": "hostname3", "wd_hostnam": "hostname0",
		"writ_function_list": "write_function_list", "readonly_function_list": "read_only_function_list",
		"cache_unsafe_memqcache_tables": "cache_unsafe_memqcache_table_list", "cache_saf_memqcache_table_list": "cache_safe_memqcache_table_list",
		"log_disconnection": "log_disconnections", "log_connection": "log_connections", "enble_pool_hba": "enable_pool_hba",
		// For these either of two names may be meant.
		"wite_function_list": "", "cache_usafe_memqcache_table_list": "",
		// For these only the opposite exists.
		"read_function_list": "", "disable_pool_hba": "", "disble_pool_hba": "", "max_pool_size": "",
		"failback_on_backend_error": "", "server_idle_limit": "server_idle_timeout", "if_dwn_cmd": "if_down_cmd",
	} {
		if got := Nearest(wrong); got != want {
			t.Errorf("%s: got %q, want %q", wrong, got, want)
		}
	}
}

// today is the present name for a name of any version.
func today(name string) string {
	if f, now, ok := findFormer(name, nil); ok && f.now != "" {
		return now
	}
	return name
}

// TestNoSlipNamesAnOpposite checks that whichever letter of a name of a pair is left out, doubled
// or changed, the hint is not the other name of the pair.
func TestNoSlipNamesAnOpposite(t *testing.T) {
	pairs := [][2]string{
		{"white_function_list", "write_function_list"}, {"read_only_function_list", "write_function_list"},
		{"black_function_list", "read_only_function_list"}, {"white_memqcache_table_list", "cache_unsafe_memqcache_table_list"},
		{"black_memqcache_table_list", "cache_safe_memqcache_table_list"}, {"cache_safe_memqcache_table_list", "cache_unsafe_memqcache_table_list"},
		{"failover_command", "failback_command"}, {"log_connections", "log_disconnections"}, {"if_up_cmd", "if_down_cmd"},
		{"min_spare_children", "max_spare_children"}, {"recovery_1st_stage_command", "recovery_2nd_stage_command"},
		{"wd_escalation_command", "wd_de_escalation_command"},
	}
	for _, pair := range pairs {
		for i := range pair {
			name, other := pair[i], pair[1-i]
			for at := range name {
				for _, wrong := range []string{name[:at] + name[at+1:], name[:at] + name[at:at+1] + name[at:], name[:at] + "x" + name[at+1:]} {
					if _, _, ok := Named(wrong); ok || isFormer(wrong) {
						continue
					}
					if got := Nearest(wrong); got == today(other) {
						t.Errorf("%s: got %s", wrong, got)
					}
				}
			}
		}
	}
}
