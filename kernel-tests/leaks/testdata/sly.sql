-- In two databases of their own, as they may make a proxy careful with every
-- statement: ways to run one that do not look like a call.
CREATE FUNCTION public.counted(state int, statement text) RETURNS int LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE statement; RETURN coalesce(state, 0) + 1; END $$;
CREATE AGGREGATE public.running(text) (SFUNC = public.counted, STYPE = int);
CREATE OPERATOR public.!!! (FUNCTION = public.ran, RIGHTARG = text);
CREATE DOMAIN public.sly AS text CHECK (public.ran(VALUE));

-- And what nobody can ask for, which makes a proxy careful with what it cannot see.
CREATE EXTENSION dblink;
-- Each client has a connection of its own, and sees those of others.
CREATE FUNCTION public.remote(name text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
	IF name <> ALL (coalesce(public.dblink_get_connections(), '{}')) THEN
		PERFORM public.dblink_connect(name, 'host=127.0.0.1 user=postgres dbname=postgres port=' || current_setting('port'));
	END IF; END $$;
CREATE FUNCTION public.remotes(own text) RETURNS SETOF text LANGUAGE sql AS
	$$ SELECT name FROM unnest(public.dblink_get_connections()) name WHERE name <> own $$;
