package catalog

import (
	"slices"
	"strings"
)

// outlasting are PostgreSQL's own functions that leave something which DISCARD ALL does
// not remove: the seed of random(), the session's replication origin, a temporary
// replication slot, a backup that has begun.
var outlasting = map[string]bool{
	"setseed":                             true,
	"pg_replication_origin_session_setup": true,
	"pg_create_physical_replication_slot": true,
	"pg_create_logical_replication_slot":  true,
	"pg_copy_physical_replication_slot":   true,
	"pg_copy_logical_replication_slot":    true,
	"pg_backup_start":                     true,
	"pg_start_backup":                     true, // until PostgreSQL 14
}

// Outlasts says that a function of PostgreSQL's own leaves something which DISCARD ALL
// does not remove.
func Outlasts(name string) bool { return outlasting[name] }

// forgetful are extensions whose C functions leave nothing in a session, even VOLATILE
// ones, except those in native.
var forgetful = []string{
	"address_standardizer", "adminpack", "amcheck", "autoinc", "bloom", "btree_gin", "btree_gist", "citext", "cube",
	"dict_int", "dict_xsyn", "earthdistance", "file_fdw", "fuzzystrmatch", "hstore", "insert_username", "intagg", "intarray",
	"lo", "ltree", "moddatetime", "old_snapshot", "pageinspect", "pg_buffercache", "pg_freespacemap", "pg_prewarm",
	"pg_stat_kcache", "pg_stat_statements", "pg_surgery", "pg_trgm", "pg_visibility", "pg_wait_sampling", "pg_walinspect",
	"pgaudit", "pgcrypto", "pgrowlocks", "pgstattuple", "postgis", "postgis_raster", "postgis_topology", "postgres_fdw",
	"refint", "seg", "sslinfo", "tablefunc", "tcn", "tsm_system_rows", "tsm_system_time", "unaccent", "uuid-ossp", "vector",
}

// Forgetful are their names, as an array of PostgreSQL's.
func Forgetful() string {
	return "{" + strings.Join(slices.Sorted(slices.Values(forgetful)), ",") + "}"
}

// native are C functions of extensions for which the declaration, or the extension,
// says too much or too little.
var native = map[string]Verdict{
	// volatile because of their random numbers only
	"uuid_generate_v1": Harmless, "uuid_generate_v1mc": Harmless, "uuid_generate_v4": Harmless,
	"gen_random_uuid": Harmless, "gen_random_bytes": Harmless, "gen_salt": Harmless,
	// tablefunc, xml2: run SQL that is given as text
	"crosstab": runs, "crosstab2": runs, "crosstab3": runs, "crosstab4": runs, "crosstabn": runs,
	"connectby": runs, "xpath_table": runs,
	// pg_trgm: a setting
	"set_limit": Asks,
	// their effects stay in the process, however they are declared
	"dblink_connect": Spoils, "dblink_connect_u": Spoils, "isn_weak": Spoils,
}
