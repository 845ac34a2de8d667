CREATE TABLE item (id int PRIMARY KEY, name text NOT NULL, price numeric(10, 2), made date);
INSERT INTO item SELECT i, 'item ' || i, i * 1.25, date '2024-01-01' + i FROM generate_series(1, 100) i;
CREATE TABLE sink (a int, b text CHECK (b <> 'forbidden'));
CREATE FUNCTION noisy(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP RAISE NOTICE 'notice %', i USING DETAIL = 'detail', HINT = 'hint'; END LOOP;
    RETURN n;
END $$;
CREATE FUNCTION fail_past(n int, past int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    IF n > past THEN RAISE EXCEPTION 'past %', past USING ERRCODE = 'P0042'; END IF;
    RETURN n;
END $$;
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sink VALUES (1, 'first'); COMMIT;
    DELETE FROM sink; COMMIT;
END $$;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
GRANT ALL ON item, sink TO alice;
