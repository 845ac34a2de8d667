package route

import (
	"slices"
	"strings"

	"pgherd/proxy/query"
)

// ofItsNode says that PostgreSQL's own function answers for the server that runs it.
// Clients are to hear of one server, the primary.
func ofItsNode(f *query.Function) bool {
	if f.Schema != "" && f.Schema != "pg_catalog" {
		return false
	}
	has := func(prefix string) bool { return strings.HasPrefix(f.Name, prefix) }
	return slices.Contains(localNames, f.Name) || slices.ContainsFunc(localPrefixes, has)
}

var localNames = []string{
	"current_setting", "version", "pg_backend_pid", "pg_blocking_pids", "pg_safe_snapshot_blocking_pids", "pg_conf_load_time",
	"pg_postmaster_start_time", "pg_listening_channels", "pg_notification_queue_usage", "pg_trigger_depth", "pg_my_temp_schema",
	"pg_lock_status", "pg_cursor", "pg_prepared_statement", "pg_prepared_xact", "pg_show_all_settings", "pg_show_all_file_settings",
	"pg_hba_file_rules", "pg_ident_file_mappings", "system_user", "pg_timezone_names", "pg_config", "pg_jit_available", "pg_export_snapshot",
	"pg_current_logfile", "pg_tablespace_location", "pg_relation_filenode", "pg_relation_filepath",
	// except for unlogged relations, whose bytes a standby does not have, and for what each node keeps
	// for itself
	"pg_relation_size", "pg_table_size", "pg_indexes_size", "pg_total_relation_size", "pg_database_size", "pg_tablespace_size",
	"pg_tablespace_databases",
	// about what is installed beside PostgreSQL
	"pg_available_extensions", "pg_available_extension_versions", "pg_extension_update_paths", "pg_collation_actual_version",
	"pg_database_collation_actual_version", "pg_timezone_abbrevs", "pg_timezone_abbrevs_abbrevs", "pg_timezone_abbrevs_zone",
	"unicode_version", "icu_unicode_version",
}

// localPrefixes are the beginnings of names of families of such functions.
var localPrefixes = []string{
	"inet_", "txid_", "pg_stat_", "pg_current_", "pg_last_", "pg_is_", "pg_wal", "pg_get_wal", "pg_control_", "pg_xact_",
	"pg_snapshot_", "pg_visible_in_", "pg_get_replication_", "pg_replication_", "pg_show_replication_", "pg_ls_", "pg_read_",
	"pg_get_backend_", "pg_get_shmem_", "pg_mxid_", "pg_get_multixact_",
}
