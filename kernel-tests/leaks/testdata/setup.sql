-- What the hunt's steps call. Runs as superuser in the database that pgherd's
-- clients use; the other databases are copies of it.
CREATE ROLE reader;
CREATE ROLE writer;
GRANT reader, writer TO alice;

-- Which one an unqualified name means depends on search_path.
CREATE SCHEMA a;
CREATE SCHEMA b;
GRANT USAGE ON SCHEMA a, b TO PUBLIC;
CREATE TABLE public.which AS SELECT 'public'::text AS name;
CREATE TABLE a.which AS SELECT 'a'::text AS name;
CREATE TABLE b.which AS SELECT 'b'::text AS name;
GRANT SELECT ON public.which, a.which, b.which TO alice, reader;

-- Ways to run a statement where a proxy does not see it.
CREATE FUNCTION public.run(statement text) RETURNS void LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE statement; END $$;
CREATE FUNCTION public.ran(statement text) RETURNS boolean LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE statement; RETURN true; END $$;
CREATE FUNCTION public.asked(statement text) RETURNS text LANGUAGE plpgsql AS
	$$ DECLARE answer text; BEGIN EXECUTE statement INTO answer; RETURN answer; END $$;
CREATE FUNCTION public.tried(statement text) RETURNS text LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE statement; RETURN 'done'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
CREATE FUNCTION public.failing(statement text) RETURNS void LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE statement; RAISE EXCEPTION 'on purpose'; END $$;
CREATE FUNCTION public.undone(statement text) RETURNS text LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE statement; RAISE EXCEPTION 'on purpose'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
CREATE FUNCTION public.kept(statement text) RETURNS void LANGUAGE plpgsql SET work_mem = '1MB' SET datestyle = 'SQL, DMY' AS
	$$ BEGIN EXECUTE statement; END $$;
CREATE FUNCTION public.trusted(statement text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS
	$$ BEGIN EXECUTE statement; END $$;
CREATE FUNCTION public.sqlset(name text, value text, islocal boolean) RETURNS text LANGUAGE sql AS
	$$ SELECT set_config(name, value, islocal) $$;
CREATE FUNCTION public.stableset(name text, value text, islocal boolean) RETURNS text LANGUAGE sql STABLE AS
	$$ SELECT set_config(name, value, islocal) $$;
CREATE FUNCTION public.pureset(name text, value text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
	$$ BEGIN RETURN set_config(name, value, false); END $$;
CREATE VIEW public.ownsettings AS SELECT name, setting FROM pg_settings;
GRANT SELECT, UPDATE ON public.ownsettings TO PUBLIC;
CREATE PROCEDURE public.does(statement text) LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE statement; END $$;
CREATE PROCEDURE public.commits(statement text) LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE statement; COMMIT; END $$;
CREATE PROCEDURE public.rollsback(statement text) LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE statement; ROLLBACK; END $$;

CREATE VIEW public.settingview AS SELECT set_config('app.who', 'view', false) AS value;
GRANT SELECT ON public.settingview TO PUBLIC;

CREATE TABLE public.guarded AS SELECT 1 AS x;
ALTER TABLE public.guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY guard ON public.guarded USING (set_config('app.tenant', 'policy', false) IS NOT NULL);
GRANT SELECT ON public.guarded TO PUBLIC;

CREATE TABLE public.defaulted (x text DEFAULT set_config('app.who', 'default', false), y int);
GRANT ALL ON public.defaulted TO alice, writer;

CREATE TABLE public.ruled (statement text);
CREATE RULE running AS ON INSERT TO public.ruled DO INSTEAD SELECT public.ran(NEW.statement);
GRANT ALL ON public.ruled TO alice, writer;

CREATE FUNCTION public.fire() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE NEW.statement; RETURN NEW; END $$;

-- What DISCARD ALL leaves. Slots' names are everybody's, so that a server has one of its own.
CREATE FUNCTION public.slot() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_replication_slots WHERE active_pid = pg_backend_pid()) THEN
		PERFORM pg_create_physical_replication_slot('hunt_' || pg_backend_pid(), false, true);
	END IF; END $$;

SELECT lo_from_bytea(4242, 'large');
GRANT SELECT ON LARGE OBJECT 4242 TO PUBLIC;

-- Each client has tables and a sequence of its own: clients never wait for each other.
DO $$ BEGIN FOR i IN 1..3 LOOP
	EXECUTE format('CREATE TABLE public.orders%s (k int UNIQUE DEFERRABLE INITIALLY DEFERRED, statement text)', i);
	EXECUTE format('CREATE TRIGGER fire BEFORE INSERT ON public.orders%s FOR EACH ROW EXECUTE FUNCTION public.fire()', i);
	EXECUTE format('GRANT ALL ON public.orders%s TO alice, writer', i);
	EXECUTE format('CREATE SEQUENCE public.s%s', i);
	EXECUTE format('GRANT ALL ON SEQUENCE public.s%s TO alice, writer', i);
END LOOP; END $$;

-- What somebody else defines anew, between any two steps.
CREATE FUNCTION public.shifty() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'calm'; END $$;
CREATE VIEW public.shiftyview AS SELECT public.shifty() AS x;
GRANT SELECT ON public.shiftyview TO PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO bob;
ALTER FUNCTION public.shifty() OWNER TO bob;
ALTER VIEW public.shiftyview OWNER TO bob;
