-- In two databases of their own, as they may make a proxy careful with every
-- statement: ways to run one that do not look like a call.
CREATE FUNCTION public.counted(state int, statement text) RETURNS int LANGUAGE plpgsql AS
	$$ BEGIN EXECUTE statement; RETURN coalesce(state, 0) + 1; END $$;
CREATE AGGREGATE public.running(text) (SFUNC = public.counted, STYPE = int);
CREATE OPERATOR public.!!! (FUNCTION = public.ran, RIGHTARG = text);
CREATE DOMAIN public.sly AS text CHECK (public.ran(VALUE));
