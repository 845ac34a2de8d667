package leaks_test

// These are the forms of which scripts are made, one a line. A word in braces is replaced: {c} by the client's number, {n}
// by a small number, {key} by the key of a lock of this client's, {g} by a setting and {v} by a value for it, {ph} by a
// placeholder, {w} by a word, {p} by a prepared statement's name, {cur} by a cursor's, {tmp} by a temporary table's,
// {chan} by a channel, {sp} by a savepoint, {role} by a role, {path} by a search_path, {read} by one of reads, and {sql} by
// one of actions.

// A call of pg_temp.f() is not among them. In a process that ever had a temporary table PostgreSQL reports the function as
// missing, in others the schema, whatever is discarded. What is in pg_temp is part of the visible state.

// form is a template, and how often it is picked among the others.
type form struct {
	weight int
	text   string
}

// actions are statements that change a session, use what was changed, or fail.
var actions = []form{
	{30, "SET {g} = '{v}'"},
	{10, "SET LOCAL {g} = '{v}'"},
	{3, "SET SESSION {g} TO DEFAULT"},
	{2, "SET LOCAL {g} TO DEFAULT"},
	{6, "RESET {g}"},
	{3, "RESET ALL"},
	{8, "SELECT set_config('{g}', '{v}', false)"},
	{6, "SELECT set_config('{g}', '{v}', true)"},
	{3, "UPDATE pg_settings SET setting = new.value FROM (VALUES ('{g}', '{v}')) AS new(name, value) WHERE pg_settings.name = new.name"},
	{2, "UPDATE public.ownsettings SET setting = '{v}' WHERE name = '{g}'"},
	{2, "SELECT set_config(cast('app.whom' as varchar(7)), '{w}', false)"},
	{2, "SELECT set_config('app.tenant_id'::char(10), '{w}', {n} % 2 = 0)"},
	{2, "SELECT set_config('app.Ä', '{w}', false)"},
	{2, "SET \"app.Ä\" = '{w}'"},
	{2, "SELECT public.pureset('{ph}', '{w}')"},
	{6, "SET {ph} = '{w}'"},
	{4, "SET LOCAL {ph} = '{w}'"},
	{3, "RESET {ph}"},
	{3, "SELECT set_config('{ph}', '{w}', {n} % 2 = 0)"},
	{4, "SELECT coalesce(current_setting('{ph}', true), '')"},
	{3, "SHOW {g}"},
	{5, "SET search_path = {path}"},
	{2, "SET LOCAL search_path TO {path}"},
	{2, "SET SCHEMA 'b'"},
	{2, "SET TIME ZONE 'Asia/Tokyo'"},
	{1, "SET TIME ZONE LOCAL"},
	{2, "SET NAMES 'LATIN1'"},
	{1, "SET XML OPTION DOCUMENT"},
	{2, "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ"},
	{1, "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"},
	{2, "SET TRANSACTION READ ONLY"},
	{1, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"},
	{1, "SET CONSTRAINTS ALL IMMEDIATE"},

	{6, "SET ROLE {role}"},
	{3, "SET LOCAL ROLE {role}"},
	{4, "RESET ROLE"},
	{2, "SELECT set_config('role', '{role}', {n} % 2 = 0)"},
	{3, "SET SESSION AUTHORIZATION alice"},
	{2, "SET LOCAL SESSION AUTHORIZATION alice"},
	{3, "RESET SESSION AUTHORIZATION"},

	{10, "PREPARE {p} AS {read}"},
	{2, "PREPARE {p}(int) AS SELECT $1 + {n}, current_setting('work_mem')"},
	{8, "EXECUTE {p}"},
	{2, "EXECUTE {p}({n})"},
	{4, "DEALLOCATE {p}"},
	{2, "DEALLOCATE ALL"},
	{16, "{read}"},

	{5, "CREATE TEMP TABLE {tmp} (x int)"},
	{2, "CREATE TEMP TABLE {tmp} ON COMMIT DROP AS SELECT {n} AS x"},
	{2, "CREATE TEMP TABLE {tmp} (x int) ON COMMIT DELETE ROWS"},
	{1, "CREATE TABLE pg_temp.{tmp} (x int)"},
	{2, "SELECT {n} AS x INTO TEMP {tmp}"},
	{1, "CREATE TEMP VIEW {tmp} AS SELECT 1 AS x"},
	{1, "CREATE TEMP SEQUENCE {tmp}"},
	{1, "CREATE OR REPLACE FUNCTION pg_temp.{tmp}() RETURNS int LANGUAGE sql AS 'SELECT {n}'"},
	{4, "INSERT INTO {tmp} VALUES ({n})"},
	{4, "SELECT x FROM {tmp} ORDER BY x"},
	{3, "DROP TABLE {tmp}"},
	{1, "ALTER TABLE {tmp} RENAME TO {tmp}"},

	{2, "DISCARD ALL"},
	{1, "DISCARD PLANS"},
	{2, "DISCARD TEMP"},
	{2, "DISCARD SEQUENCES"},

	{5, "DECLARE {cur} CURSOR FOR SELECT generate_series(1, 9)"},
	{4, "DECLARE {cur} CURSOR WITH HOLD FOR SELECT generate_series(1, 9)"},
	{6, "FETCH {n} FROM {cur}"},
	{2, "MOVE 1 IN {cur}"},
	{3, "CLOSE {cur}"},
	{1, "CLOSE ALL"},

	{4, "LISTEN {chan}"},
	{2, "UNLISTEN {chan}"},
	{2, "UNLISTEN *"},
	{4, "NOTIFY {chan}, '{w}'"},
	{2, "SELECT pg_notify('{chan}', '{w}')"},

	{3, "SELECT pg_advisory_lock({key})"},
	{2, "SELECT pg_advisory_lock_shared({key})"},
	{2, "SELECT pg_advisory_xact_lock({key})"},
	{1, "SELECT pg_try_advisory_lock({n}, {key})"},
	{3, "SELECT pg_advisory_unlock({key})"},
	{2, "SELECT pg_advisory_unlock_all()"},

	{5, "SELECT nextval('public.s{c}')"},
	{4, "SELECT currval('public.s{c}')"},
	{4, "SELECT lastval()"},
	{1, "SELECT setval('public.s{c}', {n}00)"},

	{3, "SELECT public.sqlset('{g}', '{v}', false)"},
	{2, "SELECT public.sqlset('{ph}', '{w}', true)"},
	{3, "SELECT public.stableset('{g}', '{v}', false)"},
	{2, "SELECT value FROM public.settingview"},
	{4, "SELECT public.shifty()"},
	{3, "SELECT x FROM public.shiftyview"},
	{2, "SELECT x FROM public.guarded"},
	{2, "INSERT INTO public.defaulted (y) VALUES ({c})"},
	{3, "DELETE FROM public.orders{c}"},
	{2, "SELECT public.slot()"},
	{2, "SELECT lo_open(4242, 262144)"},
	{1, "SELECT loread(0, 3)"},
	{1, "SET LOCAL work_mem = '{n}MB'; SELECT current_setting('work_mem')"},
	{1, "COPY (SELECT current_setting('DateStyle'), date '2024-03-02') TO STDOUT"},
	{1, "LOCK TABLE public.orders{c}"},

	{3, "SELECT 1 / 0"},
	{2, "SELEC {w}"},
	{2, "SELECT {w}"},
	{1, "SET {g} = 'nonsense'"},
	{1, "SET no_such_setting = 1"},
	{1, ""},
}

// reads are statements whose meaning or answer depends on the session, partly on the settings under which they were
// parsed.
var reads = []form{
	{3, "SELECT '2/3/2024'::date"},
	{2, "SELECT date '2024-03-02', interval '1 day 2 hours', timestamptz '2024-06-01 12:00+00'"},
	{2, "SELECT 'a\\\\b', length('a\\\\b')"},
	{1, "SELECT '{NULL}'::text[], NULL::int = NULL"},
	{1, "SELECT 1.1::float8 / 3, '\\x41'::bytea"},
	{3, "SELECT name FROM which"},
	{2, "SELECT current_user, session_user"},
	{2, "SELECT current_setting('{g}')"},
	{2, "SELECT coalesce(current_setting('{ph}', true), '')"},
	{1, "VALUES ({n})"},
	{1, "SELECT value FROM public.settingview"},
	{1, "SELECT public.sqlset('{g}', '{v}', false)"},
}

// wrappers run an action, plainly or where a proxy does not see it.
var wrappers = []form{
	{60, "{sql}"},
	{4, "SELECT public.run($x${sql}$x$)"},
	{2, "SELECT public.asked($x${sql}$x$)"},
	{3, "SELECT public.tried($x${sql}$x$)"},
	{2, "SELECT public.failing($x${sql}$x$)"},
	{2, "SELECT public.undone($x${sql}$x$)"},
	{2, "SELECT public.kept($x${sql}$x$)"},
	{2, "SELECT public.trusted($x${sql}$x$)"},
	{3, "CALL public.does($x${sql}$x$)"},
	{2, "CALL public.commits($x${sql}$x$)"},
	{1, "CALL public.rollsback($x${sql}$x$)"},
	{3, "DO $do$ BEGIN EXECUTE $x${sql}$x$; END $do$"},
	{1, "DO $do$ BEGIN EXECUTE $x${sql}$x$; COMMIT; PERFORM 1 / 0; END $do$"},
	{3, "INSERT INTO public.orders{c} VALUES ({n}, $x${sql}$x$)"},
	{1, "INSERT INTO public.ruled VALUES ($x${sql}$x$)"},
	{1, "WITH w AS (SELECT public.ran($x${sql}$x$) AS ok) SELECT ok FROM w"},
	{1, "EXPLAIN (ANALYZE, BUFFERS off, COSTS off, TIMING off, SUMMARY off) SELECT public.run($x${sql}$x$)"},
	{1, "PREPARE {p} AS SELECT public.ran($x${sql}$x$)"},
	{3, "{sql}; {sql}"},
	{2, "{sql}; SELECT 1 / 0; {sql}"},
	{3, "BEGIN; {sql}; COMMIT"},
	{2, "BEGIN; {sql}; ROLLBACK"},
	{1, "{sql}; COMMIT; {sql}"},
	{1, "{sql}; BEGIN; {sql}"},
}

// slyWrappers are further ones, for the sly stage.
var slyWrappers = []form{
	{20, "SELECT public.running($x${sql}$x$)"},
	{20, "SELECT OPERATOR(public.!!!) $x${sql}$x$"},
	{20, "SELECT $x${sql}$x$::public.sly IS NULL"},
	{5, "SELECT public.remote('{c}')"},
	{5, "SELECT public.remotes('{c}')"},
}

// begins and ends begin and end transactions; insides happen in the middle.
var (
	begins  = []form{{6, "BEGIN"}, {1, "BEGIN READ ONLY"}, {1, "START TRANSACTION ISOLATION LEVEL REPEATABLE READ"}}
	ends    = []form{{10, "COMMIT"}, {7, "ROLLBACK"}, {1, "COMMIT AND CHAIN"}, {1, "ROLLBACK AND CHAIN"}, {1, "END; {sql}"}, {1, "COMMIT; BEGIN"}}
	insides = []form{{3, "SAVEPOINT {sp}"}, {3, "ROLLBACK TO {sp}"}, {2, "RELEASE {sp}"}, {1, "SAVEPOINT {sp}; {sql}; ROLLBACK TO {sp}"}, {1, "BEGIN"}}
)

// arrivals are the start-up packets with which clients come back.
var arrivals = [][]string{
	nil, nil, nil,
	{"application_name", "hunt"},
	{"DateStyle", "SQL, DMY", "TimeZone", "Europe/Berlin"},
	{"client_encoding", "LATIN1"},
	{"options", "-c work_mem=5MB -c app.who=option"},
}

// words replace words in braces whose choices are fixed.
var words = map[string][]string{
	"n":    {"1", "2", "3"},
	"ph":   placeholders,
	"w":    {"red", "green", "blue"},
	"p":    {"p1", "p2", "p3", "q1"},
	"cur":  {"cur1", "cur2"},
	"tmp":  {"tmp1", "tmp2"},
	"chan": {"news", "sport"},
	"sp":   {"sp1", "sp2"},
	"role": {"reader", "writer", "none", "alice", "postgres"},
	"path": {"a, public", "b", "public", "b, a", "DEFAULT", `"$user"`, "pg_temp, public", "''"},
}
