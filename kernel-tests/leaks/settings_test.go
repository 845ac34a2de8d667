package leaks_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// setting is a setting that a user may set, with values that do no harm.
type setting struct {
	name   string
	values []string
}

// chosen takes precedence over values derived from a setting's type.
var chosen = map[string][]string{
	"DateStyle":                           {"ISO, DMY", "SQL, DMY", "German", "Postgres, MDY"},
	"TimeZone":                            {"UTC", "Europe/Berlin", "America/New_York"},
	"application_name":                    {"red", "green", ""},
	"client_encoding":                     {"UTF8", "LATIN1", "SQL_ASCII"},
	"client_min_messages":                 {"notice", "warning", "error"},
	"default_table_access_method":         {"heap"},
	"default_tablespace":                  {"", "pg_default"},
	"default_text_search_config":          {"pg_catalog.simple", "pg_catalog.german"},
	"default_toast_compression":           {"pglz"},
	"default_transaction_isolation":       {"repeatable read", "read committed", "read uncommitted"}, // see left
	"transaction_isolation":               {"repeatable read", "read committed"},
	"idle_in_transaction_session_timeout": {"600000", "700000"},
	"idle_session_timeout":                {"600000", "700000"},
	"lc_messages":                         {"C", "POSIX"},
	"lc_monetary":                         {"C", "POSIX"},
	"lc_numeric":                          {"C", "POSIX"},
	"lc_time":                             {"C", "POSIX"},
	"lock_timeout":                        {"600000", "700000"},
	"search_path":                         {"a", "b", "public"},
	"session_replication_role":            {"origin", "replica", "local"},
	"statement_timeout":                   {"600000", "700000"},
	"temp_tablespaces":                    {"", "pg_default"},
	"timezone_abbreviations":              {"Default", "Australia", "India"},
	"transaction_timeout":                 {"600000", "700000"},
	"wal_sender_timeout":                  {"600000", "700000"},
}

// left are settings that are left out, with the reasons.
var left = map[string]string{
	"exit_on_error":               "ends the session at the first error",
	"force_parallel_mode":         "a worker process for each statement: slow, and there are few",
	"debug_parallel_query":        "the same, by its newer name",
	"temp_buffers":                "cannot be set once the process has used a temporary table, and DISCARD ALL does not change that",
	"debug_print_parse":           "floods the log",
	"debug_print_plan":            "floods the log",
	"debug_print_rewritten":       "floods the log",
	"trace_sort":                  "floods the log",
	"trace_notify":                "floods the log",
	"trace_locks":                 "floods the log",
	"debug_discard_caches":        "makes everything a hundred times slower",
	"backtrace_functions":         "floods the log",
	"wal_consistency_checking":    "floods the log",
	"max_stack_depth":             "its largest value depends on the system",
	"ignore_system_indexes":       "breaks what is asked",
	"allow_in_place_tablespaces":  "for developers",
	"track_activities":            "the hunt itself looks at pg_stat_activity",
	"huge_page_size":              "depends on the system",
	"effective_io_concurrency":    "its largest value depends on the system",
	"maintenance_io_concurrency":  "its largest value depends on the system",
	"session_authorization":       "has statements of its own",
	"role":                        "has statements of its own",
	"local_preload_libraries":     "names files",
	"session_preload_libraries":   "names files",
	"dynamic_library_path":        "names files",
	"output_plugin_libraries":     "names files",
	"jit_above_cost":              "compiling small questions is slow",
	"jit_inline_above_cost":       "compiling small questions is slow",
	"jit_optimize_above_cost":     "compiling small questions is slow",
	"jit_dump_bitcode":            "writes files",
	"synchronous_standby_names":   "waits",
	"log_statement":               "floods the log",
	"log_min_messages":            "floods the log",
	"log_min_error_statement":     "floods the log",
	"log_min_duration_statement":  "floods the log",
	"log_duration":                "floods the log",
	"log_min_duration_sample":     "floods the log",
	"log_transaction_sample_rate": "floods the log",
	"log_parser_stats":            "floods the log",
	"log_planner_stats":           "floods the log",
	"log_executor_stats":          "floods the log",
	"log_statement_stats":         "floods the log",
}

// readSettings asks PostgreSQL what a user, or the superuser, may set.
func readSettings(conn *pgconn.PgConn, superuser bool) ([]setting, error) {
	sql := "SELECT name, vartype, setting, coalesce(min_val, '0'), coalesce(max_val, '0'), array_to_string(enumvals, '|')" +
		" FROM pg_settings WHERE context = 'user' OR context = 'superuser' AND " + strconv.FormatBool(superuser) + " ORDER BY name"
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	var all []setting
	for _, row := range results[0].Rows {
		name := string(row[0])
		if _, out := left[name]; out {
			continue
		}
		values, has := chosen[name]
		if !has {
			values = derive(string(row[1]), string(row[2]), string(row[3]), string(row[4]), string(row[5]))
		}
		if len(values) > 0 {
			all = append(all, setting{name, values})
		}
	}
	if len(all) < 80 {
		return nil, fmt.Errorf("found only %d settings that can be set", len(all))
	}
	return all, nil
}

// derive makes values near the present one, and none for a text whose meaning is not known.
func derive(kind, now, lowest, highest, options string) []string {
	switch kind {
	case "bool":
		return []string{"on", "off"}
	case "enum":
		return slices.DeleteFunc(strings.Split(options, "|"), func(v string) bool { return v == "lz4" || v == "zstd" })
	case "integer", "real":
		value, err := strconv.ParseFloat(now, 64)
		low, err2 := strconv.ParseFloat(lowest, 64)
		high, err3 := strconv.ParseFloat(highest, 64)
		if err != nil || err2 != nil || err3 != nil {
			return nil
		}
		up, down := min(value+1, high), max(value-1, low)
		return []string{number(up), number(down), number(min(value+2, high))}
	}
	return nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
