CREATE TABLE item (owner int, k int, v text, made timestamptz DEFAULT now(), PRIMARY KEY (owner, k));
CREATE VIEW items AS SELECT owner, k, v FROM item;
CREATE UNLOGGED TABLE quick (owner int, k int);
CREATE SCHEMA other;
CREATE TABLE other.item (LIKE item INCLUDING ALL);
CREATE SEQUENCE ticket;
CREATE VIEW tickets AS SELECT nextval('ticket') > 0 AS drawn;
CREATE FUNCTION node() RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN current_setting('cluster_name'); END $$;
CREATE FUNCTION square(i int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT i * i';
CREATE FUNCTION total(o int) RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM item WHERE owner = o';
CREATE FUNCTION put(o int, n int, t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO item (owner, k, v) VALUES (o, n, t) ON CONFLICT (owner, k) DO UPDATE SET v = t; RETURN t; END $$;
CREATE PROCEDURE store(o int, n int, t text) LANGUAGE sql AS 'SELECT put(o, n, t)';
GRANT ALL ON ALL TABLES IN SCHEMA public, other TO PUBLIC;
GRANT ALL ON SCHEMA other TO PUBLIC;
GRANT ALL ON SEQUENCE ticket TO PUBLIC;
