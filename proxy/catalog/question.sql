-- One simple Query: an implicit transaction, at whose end the settings are as before.
-- A session's default may be SERIALIZABLE DEFERRABLE, which waits for others.
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
-- pg_temp comes last, or a temporary table named pg_proc would be read.
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL jit = off;
-- The planner cannot tell how large the parts are.
SET LOCAL enable_nestloop = off;
WITH
-- what statements name: all but temporary ones
relation AS (
  SELECT oid, relname, relkind, relpersistence, relrowsecurity FROM pg_class
  WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'
),
-- one text that changes whenever the answer could. Of pg_class not xmin, which TRUNCATE changes.
version AS MATERIALIZED (
  SELECT count(*)::text || ':' || coalesce(sum(hashtextextended(catalog || ' ' || id || ' ' || made, 0)), 0)::text AS value
  FROM (
    SELECT 'class' AS catalog, oid::text AS id, relname || ' ' || relkind::text || relpersistence::text || relrowsecurity::text AS made FROM relation
    UNION ALL SELECT 'proc', oid::text, xmin::text FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT 'language', oid::text, xmin::text FROM pg_language
    UNION ALL SELECT 'operator', oid::text, xmin::text FROM pg_operator WHERE oid >= 16384
    UNION ALL SELECT 'cast', oid::text, xmin::text FROM pg_cast WHERE oid >= 16384
    UNION ALL SELECT 'amproc', oid::text, xmin::text FROM pg_amproc WHERE oid >= 16384
    UNION ALL SELECT 'event', oid::text, xmin::text FROM pg_event_trigger
    UNION ALL SELECT 'type', oid::text, xmin::text FROM pg_type WHERE oid >= 16384 AND (typtype = 'd' OR typtype = 'b' AND typelem = 0)
    UNION ALL SELECT 'index', indexrelid::text, i.xmin::text FROM pg_index i JOIN relation r ON r.oid = indrelid WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
    UNION ALL SELECT 'range', rngtypid::text, xmin::text FROM pg_range WHERE rngtypid >= 16384
    UNION ALL SELECT 'inherits', inhrelid || ' ' || inhparent, i.xmin::text FROM pg_inherits i JOIN relation ON relation.oid = inhrelid
    UNION ALL SELECT 'trigger', t.oid::text, t.xmin::text FROM pg_trigger t JOIN relation r ON r.oid = tgrelid WHERE tgfoid >= 16384 OR tgqual IS NOT NULL
    UNION ALL SELECT 'rule', t.oid::text, t.xmin::text FROM pg_rewrite t JOIN relation r ON r.oid = ev_class WHERE t.oid >= 16384
    UNION ALL SELECT 'policy', t.oid::text, t.xmin::text FROM pg_policy t JOIN relation r ON r.oid = polrelid
    UNION ALL SELECT 'default', t.oid::text, t.xmin::text FROM pg_attrdef t JOIN relation r ON r.oid = adrelid
    UNION ALL SELECT 'constraint', t.oid::text, t.xmin::text FROM pg_constraint t LEFT JOIN relation r ON r.oid = conrelid
      WHERE t.oid >= 16384 AND contype IN ('c', 'f') AND (r.oid IS NOT NULL OR contypid <> 0)
  ) part
),
-- the isolation of a session that has asked for none; NULL if that is not certain
isolation AS (
  SELECT setting AS value FROM pg_settings
  WHERE name = 'default_transaction_isolation' AND source IN ('default', 'configuration file')
    AND NOT EXISTS (SELECT FROM pg_db_role_setting WHERE setconfig::text LIKE '%transaction_isolation=%')
    AND NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtevent = 'login')
),
-- 'lasting' if no session's search_path has pg_temp that does not set it itself
path AS (
  SELECT 'lasting' AS value FROM pg_settings
  WHERE name = 'search_path' AND reset_val NOT ILIKE '%pg_temp%'
    AND NOT EXISTS (SELECT FROM pg_db_role_setting WHERE setconfig::text ILIKE '%search_path=%pg_temp%')
    AND NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtevent = 'login')
),
-- Keys are a letter and a name: f function, b one of pg_catalog, r reading and w writing a
-- relation, p a table with children, a any statement, d any DDL, y a relation of
-- the system, i a function declared IMMUTABLE, which says nothing of places, x an UPDATE of pg_settings, l a row lock. Of writing to a relation no more is asked than what it keeps.
builtin AS MATERIALIZED (
  SELECT oid, 'b' || proname AS key, keeps
  FROM (SELECT oid, proname, proname = ANY ('{{{builtins}}}'::name[]) AS keeps FROM pg_proc WHERE oid < 16384) p
  WHERE keeps OR proname = ANY ('{{{fixed}}}'::name[])
),
target AS MATERIALIZED (
  SELECT p.oid, CASE WHEN provolatile = 'i' AND prokind <> 'a' AND pronargdefaults = 0 THEN 'i' ELSE 'f' END || proname AS key, lanname IN ('c', 'internal') AS native
  FROM pg_proc p JOIN pg_language l ON l.oid = prolang
  WHERE p.oid >= 16384 AND (provolatile <> 'i' OR prokind = 'a' OR pronargdefaults > 0 OR lanname IN ('sql', 'plpgsql'))
  UNION ALL SELECT oid, key, false FROM builtin
),
-- What the catalog holds as trees. prosqlbody came with PostgreSQL 14.
expression AS (
  SELECT 'pg_rewrite'::regclass AS catalog, t.oid,
    CASE WHEN ev_type = '1' AND relkind = 'v' THEN 'r' ELSE 'w' END AS kind, relname AS name, concat(ev_action, ev_qual) AS tree
  FROM pg_rewrite t JOIN relation r ON r.oid = ev_class WHERE t.oid >= 16384
  UNION ALL SELECT 'pg_policy'::regclass, t.oid, 'r', relname, concat(polqual, polwithcheck)
  FROM pg_policy t JOIN relation r ON r.oid = polrelid WHERE relrowsecurity
  UNION ALL SELECT 'pg_attrdef'::regclass, t.oid, 'w', relname, adbin::text
  FROM pg_attrdef t JOIN relation r ON r.oid = adrelid
  UNION ALL SELECT 'pg_trigger'::regclass, t.oid, 'w', relname, tgqual::text
  FROM pg_trigger t JOIN relation r ON r.oid = tgrelid WHERE tgfoid >= 16384 OR tgqual IS NOT NULL
  UNION ALL SELECT 'pg_constraint'::regclass, t.oid, 'w', relname, conbin::text
  FROM pg_constraint t JOIN relation r ON r.oid = conrelid WHERE contype = 'c'
  UNION ALL SELECT 'pg_constraint'::regclass, oid, 'a', '', conbin::text
  FROM pg_constraint WHERE contypid <> 0 AND oid >= 16384
  UNION ALL SELECT 'pg_type'::regclass, oid, 'a', '', typdefaultbin::text
  FROM pg_type WHERE typtype = 'd' AND oid >= 16384
  UNION ALL SELECT 'pg_proc'::regclass, p.oid, CASE WHEN provolatile = 'i' AND prokind <> 'a' AND pronargdefaults = 0 THEN 'i' ELSE 'f' END, proname, concat(proargdefaults, CASE WHEN prosrc = '' THEN to_json(p) ->> 'prosqlbody' END)
  FROM pg_proc p WHERE p.oid >= 16384 AND (provolatile <> 'i' OR prokind = 'a' OR pronargdefaults > 0 OR prosrc = '')
  UNION ALL SELECT 'pg_class'::regclass, indexrelid, 'w', relname, concat(indexprs, indpred)
  FROM pg_index JOIN relation r ON r.oid = indrelid WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
),
-- Nothing records that a view uses a function of pg_catalog, so its tree is searched.
suspect AS (
  SELECT kind, name, (regexp_matches(tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid) ([0-9]+) ', 'g'))[1]::oid AS oid FROM expression
  WHERE tree ~ CASE kind
    WHEN 'w' THEN (SELECT ':(funcid|opfuncid|aggfnoid|winfnoid) (' || string_agg(oid::text, '|') || ') ' FROM builtin WHERE keeps)
    ELSE (SELECT ':(funcid|opfuncid|aggfnoid|winfnoid) (' || string_agg(oid::text, '|') || ') ' FROM builtin) END
),
direct AS (
  SELECT 'w' || relname AS key, tgfoid AS oid, false AS trusted FROM pg_trigger JOIN relation r ON r.oid = tgrelid WHERE tgfoid >= 16384
  UNION ALL SELECT 'a', oprcode, false FROM pg_operator WHERE oid >= 16384
  UNION ALL SELECT 'a', castfunc, false FROM pg_cast WHERE oid >= 16384
  UNION ALL SELECT 'a', amproc, true FROM pg_amproc WHERE oid >= 16384
  UNION ALL SELECT 'a', unnest(ARRAY[typinput, typoutput, typreceive, typsend, typmodin, typmodout]::oid[]), false
  FROM pg_type WHERE oid >= 16384 AND typtype = 'b'
  UNION ALL SELECT 'a', unnest(ARRAY[rngcanonical, rngsubdiff]::oid[]), false FROM pg_range WHERE rngtypid >= 16384
  UNION ALL SELECT 'd', evtfoid, false FROM pg_event_trigger
  -- pg_depend does not have those of pg_catalog
  UNION ALL SELECT 'f' || proname, unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn]::oid[]), false
  FROM pg_aggregate JOIN pg_proc p ON p.oid = aggfnoid WHERE p.oid >= 16384
),
uses AS (
  SELECT kind || name AS key, t.key AS used
  FROM expression e JOIN pg_depend d ON d.classid = e.catalog AND d.objid = e.oid AND d.refclassid = 'pg_proc'::regclass
  JOIN target t ON t.oid = d.refobjid
  UNION SELECT kind || name, key FROM suspect JOIN builtin USING (oid) WHERE keeps OR kind <> 'w'
  UNION SELECT kind || name, 'bpg_prepared_statement' FROM expression
  WHERE tree LIKE '%:relid ' || 'pg_prepared_statements'::regclass::oid || ' %'
  -- views and functions over relations of the system, and with FOR UPDATE and the like
  UNION SELECT kind || name, 'y' FROM expression
  WHERE kind IN ('r', 'f') AND tree ~ ':relid ([1-9][0-9]{0,3}|1[0-5][0-9]{3}|16[0-2][0-9]{2}|163[0-7][0-9]|1638[0-3]) '
  UNION SELECT kind || name, 'l' FROM expression WHERE kind IN ('r', 'f') AND tree LIKE '%{ROWMARKCLAUSE %'
  -- a write to pg_settings, through a view or by a rule or function
  UNION SELECT CASE kind WHEN 'r' THEN 'w' ELSE kind END || name, 'x' FROM expression
  WHERE catalog IN ('pg_rewrite'::regclass, 'pg_proc'::regclass) AND (kind NOT IN ('f', 'i') OR tree LIKE '%:commandType 2 %')
    AND tree LIKE '%:relid ' || 'pg_settings'::regclass::oid || ' %'
  UNION SELECT d.key, t.key FROM direct d JOIN target t ON t.oid = d.oid WHERE NOT (trusted AND native)
  -- views, policies and functions over relations; a write to a view is one to what it is of
  UNION SELECT u.kind || e.name, u.used || r.relname
  FROM expression e JOIN pg_depend d ON d.classid = e.catalog AND d.objid = e.oid AND d.refclassid = 'pg_class'::regclass
  JOIN relation r ON r.oid = d.refobjid AND (relkind <> 'S' OR e.kind <> 'w')
  JOIN (VALUES ('r', 'r'), ('w', 'w'), ('f', 'w'), ('i', 'w')) u (kind, used) ON u.kind = e.kind OR u.kind = 'w' AND e.catalog = 'pg_rewrite'::regclass
  WHERE u.kind || e.name <> u.used || r.relname
  -- foreign keys that change the table that refers, partitions and inheritance
  UNION SELECT 'w' || parent.relname, 'w' || child.relname
  FROM pg_constraint JOIN relation parent ON parent.oid = confrelid JOIN relation child ON child.oid = conrelid
  WHERE contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')) AND confrelid <> conrelid
  UNION SELECT 'p' || parent.relname, 'p' || child.relname
  FROM pg_inherits JOIN relation parent ON parent.oid = inhparent JOIN relation child ON child.oid = inhrelid
),
-- as many sources as may be read
source AS (
  SELECT p.oid, prosrc, sum(octet_length(prosrc)) OVER (ORDER BY p.oid) <= {{maxSource}} AS fits
  FROM pg_proc p JOIN pg_language l ON l.oid = prolang
  WHERE p.oid >= 16384 AND lanname IN ('sql', 'plpgsql') AND prokind <> 'a'
),
-- functions of extensions that are known to leave nothing
forgetful AS (
  SELECT d.objid AS oid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
  WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND extname = ANY ('{{forgetful}}'::name[])
),
answer AS MATERIALIZED (
  SELECT 'function' AS what, proname::text AS a,
    CASE WHEN s.fits IS FALSE THEN 'unread' WHEN lanname IN ('c', 'internal') AND g.oid IS NOT NULL THEN 'forgetful' ELSE lanname::text END AS b,
    concat(provolatile, prokind, CASE WHEN pronargs > 0 AND pronargs - pronargdefaults <= 1 THEN '1' END) AS c, CASE WHEN s.fits THEN s.prosrc END AS d
  FROM pg_proc p JOIN pg_language l ON l.oid = prolang LEFT JOIN source s ON s.oid = p.oid LEFT JOIN forgetful g ON g.oid = p.oid WHERE p.oid >= 16384
  UNION ALL SELECT 'language', lanname::text, NULL, NULL, NULL FROM pg_language WHERE lanname NOT IN ('internal', 'c', 'sql', 'plpgsql')
  UNION ALL SELECT 'uses', key, used, NULL, NULL FROM uses
  -- names of one kind and persistence, between slashes: many to a row
  UNION ALL SELECT 'names', concat(relkind, relpersistence), NULL,
    string_agg(replace(encode(convert_to(relname, getdatabaseencoding()), 'escape'), '/', chr(92) || '057'), '/'), NULL
  FROM relation GROUP BY relkind, relpersistence, oid::bigint % 64
)
-- Bytes that are not ASCII are escaped: not every client_encoding could say them.
SELECT 'version' AS what, value AS a, (SELECT value FROM isolation) AS b, (SELECT value FROM path) AS c, NULL AS d FROM version
UNION ALL (
  SELECT what, encode(convert_to(a, getdatabaseencoding()), 'escape'), encode(convert_to(b, getdatabaseencoding()), 'escape'),
    c, encode(convert_to(d, getdatabaseencoding()), 'escape')
  FROM answer WHERE (SELECT value FROM version) <> '{{version}}' LIMIT {{maxRows}}
)
