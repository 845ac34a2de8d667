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
  SELECT oid, relname, relkind, relrowsecurity, reltype FROM pg_class
  WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relpersistence <> 't'
),
-- one text that changes whenever the answer could. Of pg_class not xmin, which TRUNCATE changes.
version AS MATERIALIZED (
  SELECT count(*)::text || ':' || coalesce(sum(hashtextextended(concat_ws(' ', catalog, id, made), 0)), 0)::text AS value
  FROM (
    SELECT 'class' AS catalog, oid::text AS id, concat_ws(' ', relname, relkind, relrowsecurity) AS made FROM relation
    UNION ALL SELECT 'proc', oid::text, xmin::text FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT 'operator', oid::text, xmin::text FROM pg_operator WHERE oid >= 16384
    UNION ALL SELECT 'cast', oid::text, xmin::text FROM pg_cast WHERE oid >= 16384
    UNION ALL SELECT 'amproc', oid::text, xmin::text FROM pg_amproc WHERE oid >= 16384
    UNION ALL SELECT 'event', oid::text, xmin::text FROM pg_event_trigger
    UNION ALL SELECT 'type', oid::text, xmin::text FROM pg_type WHERE oid >= 16384 AND (typtype = 'd' OR typtype = 'b' AND typelem = 0)
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
-- Keys are a letter and a name: f function, b one of pg_catalog, r reading and w writing a
-- relation, a any statement, d any DDL.
builtin AS MATERIALIZED (
  SELECT oid, 'b' || proname AS key FROM pg_proc WHERE oid < 16384 AND proname IN ({{builtins}})
),
target AS MATERIALIZED (
  SELECT p.oid, 'f' || proname AS key, lanname IN ('c', 'internal') AS native
  FROM pg_proc p JOIN pg_language l ON l.oid = prolang
  WHERE p.oid >= 16384 AND (provolatile <> 'i' OR prokind = 'a' OR pronargdefaults > 0)
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
  UNION ALL SELECT 'pg_proc'::regclass, p.oid, 'f', proname, concat(proargdefaults, CASE WHEN prosrc = '' AND provolatile <> 'i' THEN to_json(p) ->> 'prosqlbody' END)
  FROM pg_proc p WHERE p.oid >= 16384 AND (provolatile <> 'i' OR prokind = 'a' OR pronargdefaults > 0)
),
-- Nothing records that a view uses a function of pg_catalog, so its tree is searched.
suspect AS MATERIALIZED (
  SELECT kind, name, tree FROM expression
  WHERE tree ~ (SELECT ':(funcid|opfuncid|aggfnoid|winfnoid) (' || string_agg(oid::text, '|') || ') ' FROM builtin)
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
  -- t.f is f(t)
  UNION ALL SELECT 'r' || relname, p.oid, false FROM pg_proc p JOIN relation r ON r.reltype = proargtypes[0]
  WHERE p.oid >= 16384 AND pronargs - pronargdefaults <= 1
),
uses AS (
  SELECT kind || name AS key, t.key AS used
  FROM expression e JOIN pg_depend d ON d.classid = e.catalog AND d.objid = e.oid AND d.refclassid = 'pg_proc'::regclass
  JOIN target t ON t.oid = d.refobjid
  UNION SELECT kind || name, key FROM suspect JOIN builtin ON tree ~ (':(funcid|opfuncid|aggfnoid|winfnoid) ' || oid || ' ')
  UNION SELECT d.key, t.key FROM direct d JOIN target t ON t.oid = d.oid WHERE NOT (trusted AND native)
  -- views, policies and functions over relations; a write to a view is one to what it is of
  UNION SELECT u.kind || e.name, u.used || r.relname
  FROM expression e JOIN pg_depend d ON d.classid = e.catalog AND d.objid = e.oid AND d.refclassid = 'pg_class'::regclass
  JOIN relation r ON r.oid = d.refobjid
  JOIN (VALUES ('r', 'r'), ('w', 'w'), ('f', 'w')) u (kind, used) ON u.kind = e.kind OR u.kind = 'w' AND e.catalog = 'pg_rewrite'::regclass
  WHERE u.kind || e.name <> u.used || r.relname
  -- foreign keys that change the table that refers, partitions and inheritance
  UNION SELECT 'w' || parent.relname, 'w' || child.relname
  FROM pg_constraint JOIN relation parent ON parent.oid = confrelid JOIN relation child ON child.oid = conrelid
  WHERE contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')) AND confrelid <> conrelid
  UNION SELECT 'w' || parent.relname, 'w' || child.relname
  FROM pg_inherits JOIN relation parent ON parent.oid = inhparent JOIN relation child ON child.oid = inhrelid
),
-- as many sources as may be read
source AS (
  SELECT p.oid, prosrc, sum(octet_length(prosrc)) OVER (ORDER BY p.oid) <= {{maxSource}} AS fits
  FROM pg_proc p JOIN pg_language l ON l.oid = prolang
  WHERE p.oid >= 16384 AND lanname IN ('sql', 'plpgsql') AND provolatile <> 'i' AND prokind <> 'a'
),
answer AS MATERIALIZED (
  SELECT 'function' AS what, proname::text AS a, CASE WHEN s.fits IS FALSE THEN 'unread' ELSE lanname::text END AS b,
    concat(provolatile, prokind) AS c, CASE WHEN s.fits THEN s.prosrc END AS d
  FROM pg_proc p JOIN pg_language l ON l.oid = prolang LEFT JOIN source s ON s.oid = p.oid WHERE p.oid >= 16384
  UNION ALL SELECT 'uses', key, used, NULL, NULL FROM uses
)
-- Bytes that are not ASCII are escaped: not every client_encoding could say them.
SELECT 'version' AS what, value AS a, NULL AS b, NULL AS c, NULL AS d FROM version
UNION ALL (
  SELECT what, encode(convert_to(a, getdatabaseencoding()), 'escape'), encode(convert_to(b, getdatabaseencoding()), 'escape'),
    c, encode(convert_to(d, getdatabaseencoding()), 'escape')
  FROM answer WHERE (SELECT value FROM version) <> '{{version}}' LIMIT {{maxRows}}
)
