package leaks_test

import (
	"fmt"
	"slices"
	"strings"
)

// placeholders are names of settings that nobody has declared. NULL and ” count as equal, because PostgreSQL itself leaves
// ” after a RESET if a value was ever set.
var placeholders = []string{"app.who", "app.tenant", "app.Ä"}

// stateQuery asks for all that a client can see of its session. Rows of the kind "server" say on which server it is, and
// are not compared.
var stateQuery = func() string {
	parts := []string{
		`SELECT 'setting ' || name AS what, setting AS value FROM pg_catalog.pg_settings`,
		`SELECT 'user', current_user || ', logged in as ' || session_user`,
		`SELECT 'listens to', pg_catalog.pg_listening_channels()`,
		`SELECT 'cursor ' || name, statement || ', with hold ' || is_holdable FROM pg_catalog.pg_cursors`,
		`SELECT 'temporary table', relname FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema()`,
		`SELECT 'temporary function', proname FROM pg_catalog.pg_proc WHERE pronamespace = pg_catalog.pg_my_temp_schema()`,
		`SELECT 'advisory lock', classid || ' ' || objid || ' ' || mode FROM pg_catalog.pg_locks` +
			` WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()`,
		`SELECT 'temporary slot', '' FROM pg_catalog.pg_replication_slots WHERE temporary AND active_pid = pg_catalog.pg_backend_pid()`,
		`SELECT 'server', pg_catalog.pg_backend_pid()::text`,
	}
	for _, name := range placeholders {
		parts = append(parts, fmt.Sprintf(`SELECT 'placeholder %[1]s', coalesce(pg_catalog.current_setting('%[1]s', true), '')`, name))
	}
	return strings.Join(parts, "\nUNION ALL ")
}()

// preparedQuery is a query by itself, because in some modes a server's names of statements are not the client's.
const preparedQuery = "\nUNION ALL SELECT 'prepared ' || name, statement || ', by SQL ' || from_sql FROM pg_catalog.pg_prepared_statements"

// state is a session's visible state, one line each, sorted. server is the server that has answered.
func (t *talk) state(sql string) (lines []string, server string) {
	for _, line := range t.say([]message{{kind: query, sql: sql}}) {
		if rest, is := strings.CutPrefix(line, "row server | "); is {
			server = rest
			continue
		}
		if !strings.HasPrefix(line, "SELECT ") { // their number is seen by the rows themselves
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines, server
}

// missing are the lines of a that b lacks, as often as a has more of them.
func missing(a, b []string) []string {
	left := map[string]int{}
	for _, line := range b {
		left[line]++
	}
	var found []string
	for _, line := range a {
		if left[line]--; left[line] < 0 {
			found = append(found, line)
		}
	}
	return found
}
