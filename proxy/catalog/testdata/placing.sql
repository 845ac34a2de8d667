-- Beside schema.sql: what may be read away from the primary, and what not.
CREATE UNLOGGED TABLE scratch (a int);
CREATE TABLE kept (a int, b text);
CREATE TABLE "slash/ed\" (a int);
CREATE UNLOGGED TABLE "un/logged" (a int);
CREATE VIEW over_slash AS SELECT a FROM "un/logged";
CREATE TABLE "Straße" (a int);

-- functions
CREATE FUNCTION vol() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION reads_plain() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM plain';
CREATE FUNCTION reads_now() RETURNS bool STABLE LANGUAGE plpgsql AS 'DECLARE version int; BEGIN RETURN now() > $$today$$; END';
CREATE FUNCTION reads_nested() RETURNS bigint STABLE LANGUAGE plpgsql AS 'BEGIN RETURN reads_plain() + pure(); END';
CREATE FUNCTION reads_atomic() RETURNS bigint STABLE LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM plain; END;
CREATE FUNCTION calls_vol() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN vol(); END';
CREATE FUNCTION calls_vol_nested() RETURNS int STABLE LANGUAGE sql AS 'SELECT calls_vol()';
CREATE FUNCTION calls_vol_atomic() RETURNS int STABLE LANGUAGE sql BEGIN ATOMIC SELECT vol(); END;
CREATE FUNCTION calls_vol_by_default(i int DEFAULT vol()) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT i';
CREATE FUNCTION calls_nextval() RETURNS bigint STABLE LANGUAGE sql AS $$SELECT nextval('plain_b_seq')$$;
CREATE FUNCTION calls_nextval_atomic() RETURNS bigint STABLE LANGUAGE sql BEGIN ATOMIC SELECT nextval('plain_b_seq'::regclass); END;
CREATE FUNCTION calls_xml() RETURNS xml STABLE LANGUAGE sql AS $$SELECT query_to_xml('SELECT vol()', true, true, '')$$;
CREATE FUNCTION calls_dblink() RETURNS void STABLE LANGUAGE plpgsql AS $$BEGIN PERFORM dblink_connect('a', 'dbname=app'); END$$;
CREATE FUNCTION calls_execute() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN EXECUTE 'SELECT vol()'; RETURN 1; END$$;
CREATE FUNCTION calls_update() RETURNS void STABLE LANGUAGE plpgsql AS 'BEGIN UPDATE plain SET a = 1; END';
CREATE FUNCTION calls_unlogged() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM scratch';
CREATE FUNCTION calls_unlogged_atomic() RETURNS bigint STABLE LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM scratch; END;
CREATE FUNCTION calls_recovery() RETURNS bool STABLE LANGUAGE sql AS 'SELECT pg_is_in_recovery()';
CREATE FUNCTION calls_catalog() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM pg_class';
CREATE FUNCTION calls_catalog_atomic() RETURNS bigint STABLE LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM pg_class; END;
CREATE FUNCTION calls_sequence() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT last_value FROM plain_b_seq';
CREATE FUNCTION upper(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT $1::text';
CREATE FUNCTION reverse(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
CREATE FUNCTION evil.twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
CREATE PROCEDURE does() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE vol_sum (int) (SFUNC = plus_loud, STYPE = int);

-- views and policies
CREATE VIEW v_vol AS SELECT vol();
CREATE VIEW v_v_vol AS TABLE v_vol;
CREATE VIEW v_v_v_vol AS SELECT * FROM v_v_vol, plain;
CREATE VIEW v_nextval AS SELECT nextval('plain_b_seq');
CREATE VIEW v_random AS SELECT random() AS r, now() AS n FROM plain;
CREATE VIEW v_unlogged AS SELECT a FROM scratch;
CREATE VIEW v_v_unlogged AS SELECT p.a FROM plain p JOIN v_unlogged USING (a);
CREATE VIEW v_unlogged_behind AS SELECT calls_unlogged();
CREATE VIEW v_locks AS SELECT a FROM plain FOR UPDATE;
CREATE VIEW v_activity AS SELECT pid FROM pg_stat_activity;
CREATE VIEW v_v_activity AS TABLE v_activity;
CREATE VIEW v_tables AS SELECT table_name FROM information_schema.tables;
CREATE VIEW v_class AS SELECT relname FROM pg_class;
CREATE VIEW v_recovery AS SELECT pg_is_in_recovery();
CREATE VIEW v_sequence AS SELECT last_value FROM plain_b_seq;
CREATE VIEW v_setting AS SELECT current_setting('app.user', true);
CREATE MATERIALIZED VIEW m_vol AS SELECT vol() AS a;
CREATE MATERIALIZED VIEW m_unlogged AS SELECT a FROM scratch;
CREATE TABLE policed_vol (a int);
CREATE POLICY p ON policed_vol USING (a = vol());
ALTER TABLE policed_vol ENABLE ROW LEVEL SECURITY;
CREATE TABLE policed_off (a int);
CREATE POLICY p ON policed_off USING (a = vol());
CREATE TABLE policed_unlogged (a int);
CREATE POLICY p ON policed_unlogged USING (EXISTS (SELECT FROM scratch s WHERE s.a = policed_unlogged.a));
ALTER TABLE policed_unlogged ENABLE ROW LEVEL SECURITY;
CREATE TABLE policed_user (a name);
CREATE POLICY p ON policed_user USING (a = current_user AND reads_now());
ALTER TABLE policed_user ENABLE ROW LEVEL SECURITY;
CREATE TABLE ruled_write (a int);
CREATE RULE r AS ON INSERT TO ruled_write DO ALSO SELECT vol();

-- partitions, inheritance, foreign tables
CREATE TABLE parts (a int) PARTITION BY RANGE (a);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (2);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (2) TO (9) PARTITION BY RANGE (a);
CREATE UNLOGGED TABLE parts_2_1 PARTITION OF parts_2 FOR VALUES FROM (2) TO (3);
CREATE VIEW v_parts AS SELECT a FROM parts;
CREATE TABLE heir_parent (a int);
CREATE UNLOGGED TABLE heir () INHERITS (heir_parent);
CREATE TABLE referred (a int PRIMARY KEY);
CREATE UNLOGGED TABLE refers (a int REFERENCES referred ON DELETE CASCADE);
CREATE TABLE parts_policed (a int) PARTITION BY RANGE (a);
CREATE TABLE parts_policed_1 PARTITION OF parts_policed FOR VALUES FROM (1) TO (2);
CREATE POLICY p ON parts_policed_1 USING (a = vol());
ALTER TABLE parts_policed_1 ENABLE ROW LEVEL SECURITY;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE abroad (a text) SERVER files OPTIONS (filename '/dev/null');
CREATE VIEW v_abroad AS SELECT a FROM abroad;
CREATE TABLE parts_abroad (a text) PARTITION BY LIST (a);
CREATE FOREIGN TABLE parts_abroad_1 PARTITION OF parts_abroad FOR VALUES IN ('a') SERVER files OPTIONS (filename '/dev/null');

-- one name in two schemas, the system's names, sequences
CREATE TABLE evil.kept (a int);
CREATE TABLE both_ways (a int);
CREATE UNLOGGED TABLE evil.both_ways (a int);
CREATE TABLE pg_of_a_user (a int);
CREATE SEQUENCE counted;
CREATE UNLOGGED TABLE logged_again (a int);
ALTER TABLE logged_again SET LOGGED;
